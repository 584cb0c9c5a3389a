"""Ctrl-C while a program imports its modules."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import SCRIPTS

from lipnet.utils.signals import ended_at_once

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
PROGRAM = """
import os, signal
from lipnet.utils.signals import ended_at_once
with ended_at_once():
    {inside}
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("raised")
"""


def run(inside: str, handler: object = signal.default_int_handler) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(inside=inside)],
        cwd=SCRIPTS.parent,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),  # type: ignore[arg-type]
    )


@POSIX
def test_an_interrupt_inside_is_one_line_and_after_it_is_raised() -> None:
    inside = run("os.kill(os.getpid(), signal.SIGINT)")
    assert (inside.returncode, inside.stdout, inside.stderr) == (130, "", "interrupted\n")
    after = run("pass")
    assert (after.returncode, after.stdout, after.stderr) == (0, "raised\n", "")


@POSIX
def test_an_ignored_interrupt_stays_ignored() -> None:
    """As for a program that a shell starts in the background."""
    ignored = run("os.kill(os.getpid(), signal.SIGINT)", signal.SIG_IGN)
    assert (ignored.returncode, ignored.stdout, ignored.stderr) == (0, "", "")


@POSIX
def test_another_handler_stays() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with ended_at_once():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_script_imports_everything_inside(path: Path) -> None:
    """But for what imports nothing else that takes long."""
    body = ast.parse(path.read_text()).body
    outside = [node.module for node in body if isinstance(node, ast.ImportFrom)]
    assert outside == ["__future__", "lipnet.utils.signals"]
    assert not any(isinstance(node, ast.Import) for node in body)
    [block] = [node for node in body if isinstance(node, ast.With)]
    assert ast.unparse(block.items[0]) == "ended_at_once()"

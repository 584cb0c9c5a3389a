"""Worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from lipnet.errors import LipnetError
from lipnet.utils.pool import WorkerError
from lipnet.utils.workers import WorkerPool, check_workers


def describe(task: str) -> str:
    """What some tasks do: return the process' id, be killed, or raise an exception."""
    if task == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "cv2":
        raise cv2.error("bad\npicture")
    if task == "memory":
        raise MemoryError
    if task == "recursion":
        raise RecursionError("x" * 9999)
    if task == "named":
        raise LipnetError("a.mp4: no face")
    if task == "full":
        raise OSError(28, "No space left on device", "a.u8")
    return task.upper()


def slow_first(task: int) -> tuple[int, int]:
    time.sleep(0.5 if task == 0 else 0)
    return task, os.getpid()


def opencv_threads(_: None) -> int:
    return int(cv2.getNumThreads())


@pytest.mark.parametrize("forked", [False, True])
def test_results_are_in_the_order_of_the_tasks(forked: bool) -> None:
    with WorkerPool(2, slow_first, forked=forked) as pool:
        results = list(pool.map(range(40)))
        assert [result[0] for result in results if isinstance(result, tuple)] == list(range(40))
        processes = {result[1] for result in results if isinstance(result, tuple)}
        assert len(processes) == 2 and os.getpid() not in processes
        assert len(list(pool.map(range(3)))) == 3 and list(pool.map([])) == []


def test_workers_have_one_opencv_thread() -> None:
    with WorkerPool(1, opencv_threads) as pool:
        assert list(pool.map([None])) == [1]


def test_few_tasks_are_done_ahead() -> None:
    given = []

    def tasks() -> Iterator[int]:
        for number in range(10):
            given.append(number)
            yield number

    with WorkerPool(2, str, ahead=1, forked=True) as pool:
        for number, _ in enumerate(pool.map(tasks())):
            assert len(given) <= number + 2


def test_a_task_that_does_not_end_is_waited_for_as_long_as_is_said() -> None:
    with WorkerPool(1, time.sleep, forked=True, patience=0.1) as pool:
        assert list(pool.map([0.0])) == [None]
        with pytest.raises(WorkerError, match=r"no worker process has ended its task within 0 s"):
            list(pool.map([9.0]))


@pytest.mark.parametrize("forked", [False, True])
def test_tasks_that_fail_do_not_end_the_others(forked: bool) -> None:
    tasks = ["a", "killed", "cv2", "b", "killed", "memory", "recursion", "named", "c"]
    with WorkerPool(2, describe, forked=forked) as pool:
        results = list(map(str, pool.map(tasks)))
    assert [results[index] for index in (0, 3, 8)] == ["A", "B", "C"]
    assert results[1] == results[4]
    assert "was killed, perhaps because memory ran out; give fewer --workers" in results[1]
    assert results[2] == "cannot be worked on (error bad picture); get or convert the file again"
    assert "(MemoryError)" in results[5] and "(RecursionError xxx" in results[6] and len(results[6]) < 400
    assert results[7] == "a.mp4: no face"


def test_a_full_disk_ends_all() -> None:
    with pytest.raises(OSError, match="No space left"), WorkerPool(1, describe) as pool:
        list(pool.map(["a", "full", "b"]))


@pytest.mark.parametrize("workers", [0, -2])
def test_without_workers(workers: int) -> None:
    check_workers(1)
    with pytest.raises(LipnetError, match=f"--workers {workers}: give 1 or more"):
        check_workers(workers)


SCRIPT = """
import os, sys, time
from lipnet.utils.cli import command_line
from lipnet.utils.workers import WorkerPool

def work(task):
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(60)

@command_line
def main():
    with WorkerPool(2, work, forked=FORKED) as pool:
        list(pool.map(range(9)))
    return 0

if __name__ == "__main__":
    sys.exit(main())
"""


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")  # ended, and not yet waited for
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def heed_signals() -> None:
    """In the new process: a background job of a shell, such as this test may run in, ignores SIGINT, and
    SIGHUP under nohup.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("forked", [False, True])
@pytest.mark.parametrize(
    ("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130), ("SIGKILL", -9)]
)
def test_workers_end_with_their_parent(name: str, code: int, forked: bool, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).replace("FORKED", str(forked)))
    parent = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
    )
    assert parent.stdout is not None and parent.stderr is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.send_signal(getattr(signal, name))
    sent = time.monotonic()
    assert parent.wait(timeout=3) == code
    parent.stdout.read()  # until the last process that holds it has ended
    assert parent.stderr.read().count("\n") == (0 if name == "SIGKILL" else 1)
    assert time.monotonic() - sent < 2
    assert not any(map(is_running, workers))

"""Command-line programs: exit codes, errors of one line, and the name in the help text."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lipnet.errors import ConfigError, LipnetError
from lipnet.utils.cli import command_line, make_parser, report_problems


def run(error: BaseException | int) -> int:
    """The exit code of a program that raises ``error``, or returns that number."""

    @command_line
    def main() -> int:
        if isinstance(error, BaseException):
            raise error
        return error

    return main()


@pytest.mark.parametrize("code", [0, 1])
def test_a_program_returns_its_own_exit_code(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(code) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (LipnetError("a.mp4: no face; give another video"), 2, "error: a.mp4: no face; give another video\n"),
        (ConfigError("train.lr -1: give 0 or more"), 2, "error: train.lr -1: give 0 or more\n"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/data/x"),
            2,
            "error: /data/x: permission denied; check the path, its permissions and the free space\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_an_expected_error_is_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(error) == code
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("no file is named")])
def test_any_other_error_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        run(error)
    assert raised.value is error


def shell(code: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = f"import sys\nfrom lipnet.utils.cli import command_line\n@command_line\ndef main():\n{code}"
    return subprocess.run(
        [sys.executable, "-c", f"{command}\nsys.exit(main())", *arguments], capture_output=True, timeout=60
    )


def test_a_closed_pipe_ends_the_program_quietly() -> None:
    code = (
        "    import os, subprocess\n"
        "    reader, writer = os.pipe(); os.close(reader); os.dup2(writer, 1)\n"
        "    print('x' * 100_000, flush=True)\n"
        "    return 1\n"
    )
    done = shell(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_names_that_are_no_text_can_be_printed() -> None:
    done = shell("    print('caf\\udce9.mp4'); print('caf\\udce9', file=sys.stderr); return 0\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"caf\\udce9.mp4\n", b"caf\\udce9\n")


def test_a_program_changes_nothing_else_of_the_process() -> None:
    """FFmpeg's messages are off by PyAV's own default, so that no call is needed."""
    done = shell(
        "    import os, signal\n"
        "    assert not {'av', 'cv2', 'torch'} & set(sys.modules)\n"
        "    import av\n"
        "    assert av.logging.get_level() is None\n"
        "    assert signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_IGN)\n"
        "    return 0\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("/somewhere/scripts/train.py", "python scripts/train.py"),
        ("train.py", "python scripts/train.py"),
        ("/usr/bin/lipnet-train", "lipnet-train"),
        ("C:/Python/Scripts/lipnet-train.exe", "lipnet-train"),
    ],
)
def test_the_help_names_the_program_as_it_was_called(
    called: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    parser = make_parser(
        "Train a network.", "examples:\n  in a run directory:\n    %(prog)s run.dir=runs/a\n"
    )
    text = parser.format_help()
    assert text.startswith(f"usage: {name} [-h]\n\nTrain a network.\n")
    assert text.endswith(f"examples:\n  in a run directory:\n    {name} run.dir=runs/a\n")


def test_the_wrapped_program_keeps_its_name_and_documentation() -> None:
    def main() -> int:
        """Documentation."""
        return 0

    assert command_line(main).__name__ == "main" and command_line(main).__doc__ == "Documentation."


PROGRAM = """
import sys
from lipnet.utils.cli import command_line
sys.exit(command_line(lambda: print("a line" * int(sys.argv[1])) or 0)())
"""


@pytest.mark.parametrize("lines", ["1", "100000"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(lines: str) -> None:
    command = [sys.executable, "-c", PROGRAM, lines]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: cannot write (no space left on device); check the free space")


def test_standard_output_that_is_closed() -> None:
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)} 1 >&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_messages_have_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise LipnetError("a\x1b[31m\x9b2J\x07\x85b\n.mp4: no such file")

    assert command_line(main)() == 2
    assert capsys.readouterr().err == "error: ab .mp4: no such file\n"


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(closed: str, tmp_path: Path) -> None:
    """A file that the program opens does not get their numbers, and messages do not go elsewhere."""
    code = (
        "import os, sys\n"
        "from tqdm import tqdm\n"
        "from lipnet.utils.cli import command_line\n"
        "def main():\n"
        f"    with open({str(tmp_path / 'file')!r}, 'wb') as file:\n"
        "        list(tqdm(range(3)))\n"
        "        print('a message', file=sys.stderr)\n"
        "        os.write(2, b'of a library')\n"
        "        return 7 if file.fileno() > 2 else 1\n"
        "sys.exit(command_line(main)())\n"
    )
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {closed}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize(
    ("main", "streams"),
    [
        ("parser.parse_args(['--help'])", (">/dev/full",)),
        ("parser.parse_args(['--none'])", ("2>/dev/full",)),
        (
            "(_ for _ in ()).throw(LipnetError('a.mp4: no such file'))",
            ("2>/dev/full", ">/dev/full 2>/dev/full"),
        ),
        ("(_ for _ in ()).throw(KeyboardInterrupt())", ("2>/dev/full",)),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_messages(main: str, streams: tuple[str, ...], unbuffered: str) -> None:
    code = (
        "import sys\n"
        "from lipnet.errors import LipnetError\n"
        "from lipnet.utils.cli import command_line, make_parser\n"
        "parser = make_parser('', '')\n"
        f"sys.exit(command_line(lambda: {main})())"
    )
    for stream in streams:
        command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {stream}"
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment)
        assert done.returncode == (130 if "Interrupt" in main else 2), stream
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize("count", [0, 20, 21])
def test_of_many_problems_the_first_are_printed(
    count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [f"{index}.mp4: no\nsuch file" for index in range(count)]
    path = tmp_path / "left_out.txt"
    path.write_text("of an earlier run")
    report_problems("left out:", problems, path)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:21] == [f"  {index}.mp4: no such file" for index in range(min(count, 20))]
    assert lines[21:] == ([f"  and 1 more, all of them in {path}"] if count > 20 else [])
    assert path.exists() == (count > 20)
    assert count <= 20 or len(path.read_text().splitlines()) == count
    report_problems("left out:", problems, None)
    assert capsys.readouterr().err.splitlines()[21:] == (["  and 1 more"] if count > 20 else [])

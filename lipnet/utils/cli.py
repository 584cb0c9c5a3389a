"""Command-line programs: the parser with its help text, and errors as one line and an exit code."""

from __future__ import annotations

import argparse
import errno
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from lipnet.errors import LipnetError
from lipnet.utils.files import as_bytes, write_atomically
from lipnet.utils.log import Printer, handled
from lipnet.utils.signals import Terminated, signals_raised
from lipnet.utils.terminal import one_line

CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # of a stream, which has no name

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

ALL_PROBLEMS = "left_out.txt"  # a file of problems, where there are many
PROBLEMS_SHOWN = 20  # on the terminal


class Parser(argparse.ArgumentParser):
    """A parser that does not hide that its help cannot be written."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        print(self.format_help(), end="", file=file)


def make_parser(description: str | None, examples: str) -> argparse.ArgumentParser:
    """A parser whose help ends with ``examples``, in which ``%(prog)s`` is the program's name.

    The name is as a user types it: ``lipnet-train`` when installed, else ``python scripts/train.py``.
    """
    return Parser(
        prog=_program_name(Path(sys.argv[0])),
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _program_name(called: Path) -> str:
    return f"python scripts/{called.name}" if called.suffix == ".py" else called.name.removesuffix(".exe")


def command_line(main: Callable[[], int]) -> Callable[[], int]:
    """Wrap a program's ``main``, which returns the exit code.

    A LipnetError, an OSError that names a file, or standard output that cannot be written is printed as one
    line on standard error and gives exit code 2; Ctrl-C gives 130, SIGTERM 143 and SIGHUP 129. Where nothing
    reads standard output any more, the program ends without a message. Standard streams that were closed
    before the program began are the null device. Every other exception is a bug and passes through.
    """

    @wraps(main)
    def wrapper() -> int:
        _open_closed_streams()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # file names may hold any bytes
                stream.reconfigure(errors="backslashreplace")
        try:
            with signals_raised(), handled(Printer()):
                try:
                    code = main()
                except SystemExit:  # of argparse, which has printed its help, or a message
                    _flush_messages()
                    sys.stdout.flush()
                    raise
            sys.stdout.flush()
            return code
        except LipnetError as error:
            return _fail(str(error))
        except BrokenPipeError:  # such as `| head`, which has read enough
            _discard(sys.stdout)
            return 0
        except OSError as error:
            if error.filename is None and error.errno in CANNOT_WRITE:
                _discard(sys.stdout)
                cause = (error.strerror or "error").lower()
                return _fail(f"cannot write ({cause}); check the free space, and where standard output goes")
            if error.filename is None:
                raise
            reason = (error.strerror or "cannot be used").lower()
            return _fail(f"{error.filename}: {reason}; check the path, its permissions and the free space")
        except Terminated as ended:
            _say(str(ended))
            return _end_soon(128 + ended.number)
        except KeyboardInterrupt:
            _say("interrupted")
            return _end_soon(130)

    return wrapper


def _end_soon(code: int) -> int:
    """The exit code of a program that was asked to end.

    Python looks for unused objects when it ends, which takes a second with PyTorch, and more on a busy
    machine: frozen ones are left out.
    """
    gc.freeze()
    return code


def _open_closed_streams() -> None:
    """The null device in place of standard streams that were closed before the program began.

    Else a file that the program opens would get the stream's number, and what libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # with the lowest number that is free
            if descriptor == number:
                os.set_inheritable(descriptor, True)  # for worker processes
            if name != "stdin":
                setattr(sys, name, open(descriptor, "w", encoding="utf-8"))  # noqa: SIM115


def _discard(stream: TextIO) -> None:
    """What a stream still holds is not written when Python ends: that would fail again."""
    with suppress(OSError, ValueError, AttributeError):  # it may be no file, or closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fail(message: str) -> int:
    _say(f"error: {one_line(message)}")
    return 2


def _say(line: str) -> None:
    """Print a line on standard error, if that can be written."""
    with suppress(OSError):
        print(line, file=sys.stderr)
    _flush_messages()


def _flush_messages() -> None:
    try:
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)


def report_problems(heading: str, problems: Sequence[str], path: Path | None) -> None:
    """Print the first of many problems on standard error.

    Args:
        heading: the line above them.
        path: a file for all of them where there are more, which else is removed; None: there is none.
    """
    if path is not None:
        path.unlink(missing_ok=True)
    if not problems:
        return
    lines = [one_line(problem) for problem in problems]
    print(heading, *(f"  {line}" for line in lines[:PROBLEMS_SHOWN]), sep="\n", file=sys.stderr)
    if len(lines) > PROBLEMS_SHOWN:
        where = ""
        if path is not None:
            write_atomically(path, as_bytes("".join(f"{line}\n" for line in lines)))
            where = f", all of them in {one_line(str(path))}"
        print(f"  and {len(lines) - PROBLEMS_SHOWN} more{where}", file=sys.stderr)

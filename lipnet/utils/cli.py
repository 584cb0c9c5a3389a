"""Command-line programs: the parser with its help text, and errors as one line and an exit code."""

from __future__ import annotations

import argparse
import errno
import gc
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path

from lipnet.errors import LipnetError
from lipnet.utils.signals import Terminated, signals_raised
from lipnet.utils.terminal import one_line

CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # of a stream, which has no name


def make_parser(description: str | None, examples: str) -> argparse.ArgumentParser:
    """A parser whose help ends with ``examples``, in which ``%(prog)s`` is the program's name.

    The name is as a user types it: ``lipnet-train`` when installed, else ``python scripts/train.py``.
    """
    return argparse.ArgumentParser(
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
    reads standard output any more, the program ends without a message. Every other exception is a bug and
    passes through.
    """

    @wraps(main)
    def wrapper() -> int:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # file names may hold any bytes
                stream.reconfigure(errors="backslashreplace")
        try:
            with signals_raised():
                code = main()
            if sys.stdout is not None:  # None: closed before the program began
                sys.stdout.flush()
            return code
        except LipnetError as error:
            return _fail(str(error))
        except BrokenPipeError:  # such as `| head`, which has read enough
            _discard_output()
            return 0
        except OSError as error:
            if error.filename is None and error.errno in CANNOT_WRITE:
                _discard_output()
                cause = (error.strerror or "error").lower()
                return _fail(f"cannot write ({cause}); check the free space, and where standard output goes")
            if error.filename is None:
                raise
            reason = (error.strerror or "cannot be used").lower()
            return _fail(f"{error.filename}: {reason}; check the path, its permissions and the free space")
        except Terminated as ended:
            print(ended, file=sys.stderr)
            return _end_soon(128 + ended.number)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return _end_soon(130)

    return wrapper


def _end_soon(code: int) -> int:
    """The exit code of a program that was asked to end.

    Python looks for unused objects when it ends, which takes a second with PyTorch, and more on a busy
    machine: frozen ones are left out.
    """
    gc.freeze()
    return code


def _discard_output() -> None:
    """What standard output still holds is not written when Python ends: that would fail again."""
    with suppress(OSError, ValueError, AttributeError):  # it may be no file, or closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return 2

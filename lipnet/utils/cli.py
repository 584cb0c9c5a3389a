"""Command lines: errors as one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps

from lipnet.errors import LipnetError


def one_line_errors(main: Callable[[], int]) -> Callable[[], int]:
    """Wrap a script's ``main``: a LipnetError becomes one line on standard error and exit code 2."""

    @wraps(main)
    def wrapper() -> int:
        try:
            return main()
        except LipnetError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except BrokenPipeError:  # the reader of our output, such as head, has left
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            if error.filename is None:
                raise
            reason = (error.strerror or "cannot be used").lower()
            print(
                f"error: {error.filename}: {reason}; check the path, its rights and the free space",
                file=sys.stderr,
            )
            return 2
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    return wrapper

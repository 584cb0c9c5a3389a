"""The errors that a user can mend, and how a script reports them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps


class LipnetError(Exception):
    """Something the user can mend. The message is one line: the thing that is wrong, then the cure."""


class TrainingError(LipnetError):
    """Training cannot go on (a loss that is not finite, a batch that cannot be built)."""


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

"""Atomic file writes, and folders that one process at a time writes into."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from lipnet.errors import LipnetError

LOCK_NAME = ".lock"
MAX_NAME_BYTES = 255  # of a file in the usual file systems
UNFINISHED = ".unfinished-"  # start of the name of a folder for temporary files


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, and a process that is killed meanwhile, see the old file or the new one.

    The content is on the disk before the file has its name, so that this also holds after a power cut.

    Args:
        path: its folder must exist.
        content: the whole file.

    Raises:
        OSError: with the name of ``path``, not of the temporary file beside it.
    """
    temporary = part_of(path)
    try:
        temporary.write_bytes(content)
        _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Give an OSError the name of the file that is written to, which those of an open file lack."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def as_bytes(text: str) -> bytes:
    """UTF-8, with escapes for the bytes of file names that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace")


def part_of(path: Path) -> Path:
    """A hidden file beside ``path`` for its content while it is written. Its name is never too long."""
    name = f".{path.name}.part"
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        name = f".{sha256(os.fsencode(name)).hexdigest()[:32]}.part"
    return path.with_name(name)


def _sync(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other processes from writing into a folder, which is created if it does not exist.

    The operating system gives the lock up when the process ends in any way. It is a file ``.lock`` in the
    folder, which is removed at the end, and so is a new folder that is still empty.

    Raises:
        LipnetError: another process has locked the folder.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise LipnetError(
            f"{folder}: another process is writing into this folder; wait until it has ended, or give "
            "another folder"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            os.unlink(lock.lock_file)
        lock.release()
        if is_new:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


@contextmanager
def temporary_files(folder: Path) -> Iterator[Path]:
    """A folder for temporary files inside a folder that is locked; those of killed processes are removed."""
    for left in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder, ignore_cleanup_errors=True) as made:
        yield Path(made)

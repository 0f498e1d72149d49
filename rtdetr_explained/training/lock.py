"""One run at a time in a folder: a second one is refused instead of writing into the first."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rtdetr_explained.errors import InputError

NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for the time of the block; raises InputError when another process or thread holds it.

    The operating system lets go of it when the process ends, however it ends; the empty file `.lock` stays and means
    nothing by itself. On a file system without locks nothing is held.
    """
    lock = FileLock(folder / NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"Another run is writing to {folder} at this moment; choose another folder, or wait until it has ended."
        ) from None
    except NotImplementedError:
        pass
    try:
        yield
    finally:
        lock.release()

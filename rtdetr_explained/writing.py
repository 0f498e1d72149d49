"""Files that are there whole or not at all."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A name to write to, beside `path`, that becomes `path` only when everything is written.

    Several threads or processes may write to one path: the last one stays. What a killed process left is removed.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    for left in path.parent.glob("*.part"):
        owner = re.fullmatch(re.escape(f".{path.name}") + r"\.(\d+)\.\d+\.part", left.name)
        if owner and not is_running(int(owner[1])):
            with suppress(OSError):  # where processes cannot be asked for, a file in use cannot be removed
                left.unlink()
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Whether a process of this computer is alive; where that cannot be asked, no."""
    if os.name != "posix":
        return process == os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True

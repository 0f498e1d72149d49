"""Text files that come with annotations, whichever system wrote them."""

from __future__ import annotations

import codecs
from pathlib import Path

from rtdetr_explained.errors import InputError


def read_text(path: Path) -> str:
    """A text in UTF-8, or in UTF-16 as some Windows tools write it, without its byte order mark. Raises InputError."""
    try:
        data = path.read_bytes()
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if wide else "utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); choose another file.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} cannot be read: it is not text in UTF-8; save it as that.") from None

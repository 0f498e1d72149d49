"""Figures as files: SVG, PDF and PNG, the same bytes for the same figure."""

from __future__ import annotations

import io
import re
from threading import Lock
from typing import TYPE_CHECKING, Any

from rtdetr_explained.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "pdf", "png")
PNG_DPI = 200

# Text stays text in SVG and PDF, so that it can be searched and edited; without a fixed salt and with a date, two
# exports of one figure would differ. Settings and font machinery of matplotlib are global, hence the lock.
_SETTINGS: dict[Any, Any] = {"svg.hashsalt": "rtdetr-explained", "svg.fonttype": "none", "pdf.fonttype": 42}
_METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
_lock = Lock()


def to_bytes(figure: Figure, format: str) -> bytes:
    """The figure as "svg", "pdf" or "png" (200 dots per inch). Raises InputError for any other format."""
    if format not in FORMATS:
        raise InputError(f"Figures cannot be exported as {format!r}; choose one of {', '.join(FORMATS)}.")
    import matplotlib as mpl  # not before it is needed, as it takes half a second

    buffer = io.BytesIO()
    with _lock, mpl.rc_context(_SETTINGS):
        figure.savefig(buffer, format=format, dpi=PNG_DPI, facecolor=figure.get_facecolor(), metadata=_METADATA[format])
    return buffer.getvalue()


def file_name(slug: str, image_name: str, format: str) -> str:
    """A file name "<slug>-<image>.<format>" that any system accepts."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", image_name.rsplit("/", 1)[-1].rsplit(".", 1)[0]).strip("-.") or "image"
    return f"{slug}-{stem}.{format}"

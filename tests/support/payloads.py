"""Reads what is sent to the browser, by the words of `app/components/payload.py`."""

from __future__ import annotations

import json
from typing import Any


def unpack(payload: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The header and the sections by name."""
    end = 8 + int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8:end].decode())
    return header, {name: payload[end + start :][:length] for name, (start, length) in header["sections"].items()}

"""Bytes for the browser: a header in JSON and sections, as `payload.js` reads them.

Layout: 8 bytes with the length of the header (little-endian), the header as JSON, then the sections. The header's
"sections" gives start and length of each in bytes, counted from the end of the header. Header and sections are padded
to multiples of 4 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ALIGNMENT = 4  # bytes


def pack(header: Mapping[str, Any], sections: Mapping[str, bytes]) -> bytes:
    """One object of bytes with all of it; `header` has no "sections" of its own."""
    places, start = {}, 0
    for name, section in sections.items():
        places[name] = [start, len(section)]
        start += len(section) + -len(section) % ALIGNMENT
    text = json.dumps({**header, "sections": places}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    body = (section + bytes(-len(section) % ALIGNMENT) for section in sections.values())
    return b"".join([len(text).to_bytes(8, "little"), text, *body])


def read_header(payload: bytes) -> dict[str, Any]:
    """The header of a payload."""
    return json.loads(payload[8 : 8 + int.from_bytes(payload[:8], "little")])

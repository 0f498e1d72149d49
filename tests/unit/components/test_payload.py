"""The bytes for the browser: what is packed comes back, and numbers lie where typed arrays may begin."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from payloads import unpack

from app.components.payload import pack, read_header

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text().filter(lambda key: key != "sections"), VALUES, max_size=4),
    st.dictionaries(st.text(), st.binary(max_size=40), max_size=5),
)
def test_what_is_packed_comes_back_and_lies_at_multiples_of_four(header: dict, sections: dict[str, bytes]) -> None:
    packed = pack(header, sections)
    read, pieces = unpack(packed)
    assert pieces == sections
    assert {name: value for name, value in read.items() if name != "sections"} == json.loads(json.dumps(header))
    assert read == read_header(packed)
    end = 8 + int.from_bytes(packed[:8], "little")
    assert end % 4 == len(packed) % 4 == 0
    ends = [0]
    for start, length in read["sections"].values():
        assert start % 4 == 0
        assert ends[-1] <= start <= ends[-1] + 3
        ends.append(start + length)
    assert len(packed) - end - ends[-1] in range(4)

import json
from math import isfinite

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.edits import KINDS, Edit, from_dict, to_dict

EXAMPLES: list[Edit] = [
    edits.drop_point(layer=2, query=17, head=3, level=1, point=0),
    edits.drop_point(layer=0, query=1, head=0, level=2, point=1, mode="renormalise"),
    edits.move_point(layer=1, query=4, head=2, level=0, point=1, dx=0.05, dy=-0.1),
    edits.drop_head(head=3),
    edits.drop_head(head=3, layer=1),
    edits.drop_level(level=2),
    edits.drop_level(level=0, layer=0, mode="renormalise"),
    edits.drop_query(query=9),
    edits.set_layers(num_layers=2),
    edits.set_queries(num_queries=12),
    edits.set_sampling(method="discrete"),
    edits.set_selection(method="one2many"),
]


@pytest.mark.parametrize("edit", EXAMPLES, ids=lambda edit: type(edit).__name__)
def test_an_edit_survives_json(edit: Edit) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(edit)))) == edit


def test_the_examples_show_every_kind() -> None:
    assert {type(edit) for edit in EXAMPLES} == set(KINDS.values())


def test_numbers_of_numpy_become_plain_ones() -> None:
    # What callers with NumPy pass, though it is not declared.
    edit = edits.move_point(1, np.int64(4), 2, 0, 1, dx=np.float32(0.5), dy=np.float64(0.25))  # type: ignore[arg-type]
    assert json.loads(json.dumps(to_dict(edit))) == {
        "kind": "MovePoint",
        "layer": 1,
        "query": 4,
        "head": 2,
        "level": 0,
        "point": 1,
        "dx": 0.5,
        "dy": 0.25,
    }


def test_edits_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        edits.drop_query(3).query = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "DropEverything"}, "There is no edit 'DropEverything'; the edits are DropPoint, MovePoint, DropHead"),
        ({}, "There is no edit None; the edits are"),
        ({"kind": "DropQuery"}, "The edit DropQuery takes query, not nothing."),
        ({"kind": "DropQuery", "query": 1, "head": 2}, "The edit DropQuery takes query, not query, head."),
        ({"kind": "SetLayers", "layers": 1}, "The edit SetLayers takes num_layers, not layers."),
        ({"kind": ["DropQuery"], "query": 1}, "There is no edit "),
        (["DropQuery", 3], "An edit is written as its kind and its numbers, not as "),
        ("DropQuery", "An edit is written as its kind and its numbers, not as 'DropQuery'."),
        ({"kind": "DropQuery", "query": "3"}, "The edit DropQuery has '3' for query, which does not fit."),
        ({"kind": "DropQuery", "query": True}, "The edit DropQuery has True for query, which does not fit."),
        ({"kind": "DropHead", "head": 1, "layer": 0.5}, "The edit DropHead has 0.5 for layer, which does not fit."),
        ({"kind": "DropLevel", "level": 1, "mode": "half"}, "The edit DropLevel has 'half' for mode, which does not"),
        ({"kind": "SetSampling", "method": None}, "The edit SetSampling has None for method, which does not fit."),
    ],
)
def test_what_is_no_edit_is_refused(data: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_dict(data)
    assert str(caught.value).startswith(message)


NUMBERS = st.integers() | st.floats()
ANY_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(st.builds(edits.move_point, *[st.integers()] * 5, *[st.floats(allow_nan=False, allow_infinity=False)] * 2))
def test_any_move_survives_json(edit: Edit) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(edit)))) == edit


@given(st.sampled_from([*KINDS, "Explode"]), st.data())
def test_any_text_is_an_edit_or_a_sentence(kind: str, data: st.DataObject) -> None:
    names = [*KINDS[kind].__dataclass_fields__] if kind in KINDS else ["query"]
    given = {"kind": kind} | data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, ANY_JSON)))
    try:
        edit = from_dict(given)
    except InputError as error:
        message = str(error)
    else:
        assert to_dict(edit) | given == to_dict(edit)
        assert all(isfinite(value) for value in given.values() if isinstance(value, float))
        return
    assert message.endswith(".")
    assert len(message.splitlines()) == 1

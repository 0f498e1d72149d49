"""The figure of AIFI: the attention row of one cell, all heads, and the likeness of positions."""

import numpy as np
import pytest

from rtdetr_explained.drawing.marks import Heat
from rtdetr_explained.drawing.text import number
from rtdetr_explained.illustrations import aifi
from rtdetr_explained.tracing.choice import Scope, choose
from rtdetr_explained.tracing.trace import Trace

WEIGHTS = "hybrid_encoder.aifi.layers.0.self_attn.weights"


def test_the_map_of_a_head_is_its_row_of_the_attention(trace: Trace) -> None:
    h, w = trace.map_sizes[-1]
    weights = trace[WEIGHTS].array.astype(np.float32)
    view = aifi.view(choose(trace, cell=6, head=2))
    np.testing.assert_array_equal(view.attention, weights[2, 6].reshape(h, w))
    np.testing.assert_array_equal(view.heads, weights[:, 6].reshape(-1, h, w))
    assert (view.row, view.column) == (6 // w, 6 % w)
    assert view.attention.sum() == pytest.approx(1, abs=2e-3)


def test_without_a_head_it_is_the_mean_over_heads(trace: Trace) -> None:
    view = aifi.view(choose(trace, cell=6))
    weights = trace[WEIGHTS].array.astype(np.float64)
    np.testing.assert_allclose(view.attention.ravel(), weights[:, 6].mean(axis=0), rtol=1e-5)


def test_without_a_cell_it_is_the_one_below_the_query(trace: Trace) -> None:
    h, w = trace.map_sizes[-1]
    for query in (0, 11):
        x, y = trace["query_selection.reference_boxes"].array[query, :2]
        view = aifi.view(choose(trace, query=query))
        assert view.query == query
        assert (view.row, view.column) == (min(int(y * h), h - 1), min(int(x * w), w - 1))
    assert aifi.view(choose(trace)).query == int(np.argmax(trace.scores))


def test_a_chosen_cell_wins_over_the_query(trace: Trace) -> None:
    view = aifi.view(choose(trace, query=3, cell=5))
    assert (view.cell, view.query) == (5, None)


def test_likeness_of_positions_is_the_cosine(trace: Trace) -> None:
    codes = trace["hybrid_encoder.aifi.position"].array.astype(np.float64)
    view = aifi.view(choose(trace, cell=8))
    expected = [codes[8] @ code / np.linalg.norm(codes[8]) / np.linalg.norm(code) for code in codes]
    np.testing.assert_allclose(view.similarity.ravel(), expected, rtol=1e-4)
    assert view.similarity[view.row, view.column] == pytest.approx(1)


def test_the_figure_holds_the_attention_and_every_head(trace: Trace) -> None:
    view = aifi.view(choose(trace, cell=6))
    drawing = aifi.picture(view).drawing
    maps = [heat.values for heat in drawing.of(Heat)]
    np.testing.assert_array_equal(maps[0], view.attention)
    for values in [*view.heads, view.similarity]:
        assert any(np.array_equal(values, drawn) for drawn in maps)
    outline = drawing.named("selected cell")
    assert np.nanmin(outline.x) + 0.5 == view.column
    assert np.nanmin(outline.y) + 0.5 == view.row


def test_every_cell_can_be_clicked(trace: Trace) -> None:
    view = aifi.view(choose(trace, cell=6))
    hits = aifi.picture(view).drawing.named("cells")
    h, w = view.attention.shape
    for index in (0, w + 2, h * w - 1):
        assert hits.ids[index] == index
        assert (hits.y[index], hits.x[index]) == divmod(index, w)
    assert number(float(view.attention.flat[w + 2])) in hits.hover[w + 2]


@pytest.mark.parametrize("scale", ["map", "stage"])
def test_colours_span_the_chosen_range(trace: Trace, scale: Scope) -> None:
    view = aifi.view(choose(trace, cell=6, scale=scale))
    heats = aifi.picture(view).drawing.of(Heat)
    first_head = next(heat for heat in heats if np.array_equal(heat.values, view.heads[0]))
    top = view.heads.max() if scale == "stage" else view.heads[0].max()
    assert (first_head.low, first_head.high) == (0, pytest.approx(float(top)))


def test_words_and_table(trace: Trace) -> None:
    view = aifi.view(choose(trace, cell=6, head=3))
    picture = aifi.picture(view)
    row, column = divmod(int(view.attention.argmax()), view.attention.shape[1])
    assert f"row {row}, column {column}" in picture.caption or "to itself, and" in picture.caption
    assert "head 3" in picture.caption
    assert picture.table["weight (shown)"] == picture.table["head 3"]
    assert {len(column) for column in picture.table.values()} == {view.attention.size}


def test_small_maps_get_as_much_room_as_there_is() -> None:
    assert aifi.tile_columns(9, 390, 520, 1.0, 10)[0] == 3
    columns, tile = aifi.tile_columns(9, 560, 520, 1.5, 10)
    assert columns == 5
    assert tile == pytest.approx((560 - 40) / 5)

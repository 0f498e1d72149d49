"""Weights by level and head, the spread of all queries, and the two ways of reading, against the trace."""

import numpy as np
import pytest

from rtdetr_explained import edits
from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.marks import Heat, Points, Text
from rtdetr_explained.illustrations.deformable_attention import discrete, spread, weights
from rtdetr_explained.model.deformable_attention import DeformableAttention
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.results import Outcome, outcome
from rtdetr_explained.tracing.trace import Trace

SITE = "decoder.layers.1.cross_attn"


@pytest.fixture(scope="module")
def other(detector: Detector, trace: Trace) -> Outcome:
    return outcome(detector.rerun(trace, [edits.set_sampling("discrete")]))


def test_bars_add_up_the_weights_of_both_queries(trace: Trace) -> None:
    view = weights.view(choose(trace, query=3, layer=1, compare=8, head=2))
    for i, query in enumerate((3, 8)):
        array = trace[f"{SITE}.weights"].array[query]
        np.testing.assert_allclose(view.by_head[i, :, 1], array[:, 2:6].sum(1), rtol=1e-5)
        np.testing.assert_allclose(view.by_level[i, 2], array[:, 6:].sum() / 4, rtol=1e-5)
    np.testing.assert_allclose(view.by_level.sum(1), 1, rtol=1e-5)
    picture = weights.picture(view)
    np.testing.assert_allclose(picture.drawing.named("S4 by head of 8").width, view.by_head[1, :, 1])
    np.testing.assert_allclose(picture.drawing.named("S5 of 3").width, view.by_level[0, 2])
    assert "query 3 puts" in picture.caption
    assert "query 8 puts" in picture.caption
    assert len(picture.table["query"]) == 2 * (4 + 1)


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((0.2, 0.7, 0.1), "most of its weight on S4 (70%)"),
        ((0.48, 0.3, 0.22), "more weight on S3 (48%) than on any other level"),
        ((0.334, 0.333, 0.333), "equal weight on S3, S4 and S5 (33% each)"),
        ((0.1, 0.45, 0.45), "equal weight on S4 and S5 (45% each)"),
    ],
)
def test_only_more_than_half_of_a_weight_is_most_of_it(shares: tuple[float, ...], words: str) -> None:
    assert weights.most(np.array(shares)) == words


def test_a_query_is_not_compared_with_itself(trace: Trace) -> None:
    for compare in (None, 3):
        assert weights.view(choose(trace, query=3, layer=1, compare=compare)).queries == (3,)
    assert spread.view(choose(trace, query=3, layer=1, compare=3)).compare is None


def test_spread_is_the_root_mean_square_distance(trace: Trace) -> None:
    view = spread.view(choose(trace, query=3, layer=1))
    for query in range(20):
        box = trace["decoder.layers.1.reference_boxes"].array[query] * [150, 100, 150, 100]
        places = trace[f"{SITE}.sampling_locations"].array[query].reshape(-1, 2) * [150, 100]
        mass = trace[f"{SITE}.weights"].array[query].ravel()
        squared = ((places - box[:2]) ** 2).sum(1)
        assert view.side_px[query] == pytest.approx(np.sqrt(box[2] * box[3]), rel=1e-4)
        assert view.spread_px[query] == pytest.approx(np.sqrt((squared * mass).sum() / mass.sum()), rel=1e-4)
        assert view.even_px[query] == pytest.approx(np.sqrt(squared.mean()), rel=1e-4)
    assert view.ratios.shape == (3,)
    assert view.ratios[1] == pytest.approx(np.median(view.ratio))


def test_before_training_points_spread_as_the_layer_starts() -> None:
    layer = DeformableAttention(24, 4, (2, 4, 3), "default")
    offsets = layer.sampling_offsets.bias.detach().view(4, 9, 2).numpy()
    shifts = offsets * layer.num_points_scale.numpy()[:, None] * 0.5  # of a box with sides of one
    expected = np.sqrt((shifts**2).sum(-1).mean())
    assert spread.untrained_ratio(4, [2, 4, 3]) == pytest.approx(expected, rel=1e-5)


def test_names_of_two_queries_do_not_overlap(trace: Trace) -> None:
    for compare in range(1, 20):
        view = spread.view(choose(trace, query=0, layer=1, compare=compare))
        one, other = (m for m in spread.picture(view).drawing.of(Text) if m.text.startswith("query"))
        assert {one.text, other.text} == {"query 0", f"query {compare}"}
        upper, lower = (one, other) if one.dy > other.dy else (other, one)
        assert upper.dy - lower.dy >= 2 * upper.size
        above = {name: view.ratio[int(name.split()[1])] for name in (upper.text, lower.text)}
        assert above[upper.text] >= above[lower.text]


def test_every_query_is_drawn_once_and_can_be_clicked(trace: Trace) -> None:
    threshold = float(np.median(trace.scores))
    view = spread.view(choose(trace, query=3, layer=1, compare=8, threshold=threshold))
    picture = spread.picture(view)
    ids = np.concatenate([mark.ids for mark in picture.drawing.of(Points) if mark.ids is not None])
    assert sorted(ids.tolist()) == list(range(20))
    for mark in picture.drawing.of(Points):
        np.testing.assert_allclose(mark.x, np.log10(view.side_px[mark.ids]))
        np.testing.assert_allclose(mark.y, np.log10(view.spread_px[mark.ids]))
    assert set(picture.drawing.named("detections").ids) == set(np.flatnonzero(view.detected)) - {3, 8}
    assert len(picture.table["query"]) == 20
    assert f"{view.ratio[3]:.2f}" in picture.caption


def test_cells_count_by_weight_in_both_ways(trace: Trace, other: Outcome) -> None:
    view = discrete.view(choose(trace, query=3, layer=1, head=2, level=1), other)
    assert (view.used, view.other) == ("bilinear", "discrete")
    taken = trace[f"{SITE}.weights"].array[3, 2, 2:6]
    assert view.maps.shape == (2, 6, 8)
    assert view.maps[1].sum() == pytest.approx(taken.sum(), rel=1e-5)  # discrete reads never leave the map
    assert view.maps[0].sum() <= taken.sum() + 1e-5
    expected = np.zeros((6, 8))
    for place, weight in zip(trace[f"{SITE}.sampling_locations"].array[3, 2, 2:6], taken, strict=True):
        column, row = np.clip((place * [8, 6] + 0.5).astype(int), 0, [7, 5])
        expected[row, column] += weight
    np.testing.assert_allclose(view.maps[1], expected, atol=1e-6)
    assert view.cells_of_query[0] > view.cells_of_query[1] > 0
    assert view.cells_of_all[0] >= view.cells_of_query[0]


def test_the_changes_are_those_of_the_other_run(detector: Detector, trace: Trace, other: Outcome) -> None:
    view = discrete.view(choose(trace, query=3, layer=1, threshold=0.3), other)
    run = detector.rerun(trace, [edits.set_sampling("discrete")])
    assert view.num_detections == (len(trace.detections(0.3)), len(run.detections(0.3)))
    moved = (run.boxes - trace.boxes)[:, :2] * [150, 100]
    np.testing.assert_allclose(view.moves_px, np.linalg.norm(moved, axis=1), atol=1e-4)
    assert view.change.moved_px == pytest.approx(view.moves_px[3], abs=1e-4)
    assert view.change.iou == pytest.approx(view.overlaps[3])
    label = trace.labels[3]
    after = 1 / (1 + np.exp(-run.logits[3, label]))
    assert view.score_changes[3] == pytest.approx(after - trace.scores[3], abs=1e-6)
    picture = discrete.picture(view)
    rows = discrete.rows(view)
    assert rows["detections"] == tuple(map(str, view.num_detections))
    assert len(picture.table["IoU"]) == 20
    assert f"{view.change.moved_px:.1f} px" in picture.caption


def test_a_discrete_run_is_compared_with_a_bilinear_one(detector: Detector, trace: Trace) -> None:
    run = detector.rerun(trace, [edits.set_sampling("discrete")])
    assert discrete.other_method(run) == "default"
    back = outcome(detector.rerun(run, [edits.set_sampling(discrete.other_method(run))]))
    view = discrete.view(choose(run, query=3, layer=1), back)
    assert (view.used, view.other) == ("discrete", "bilinear")
    np.testing.assert_array_equal(back.boxes, trace.boxes)
    rows = discrete.rows(view)
    assert rows["box (px)"][0] == "{:.0f}, {:.0f} – {:.0f}, {:.0f}".format(*view.change.box_after_px)


@pytest.mark.parametrize("method", ["default", "discrete"])
def test_each_way_of_reading_stands_in_its_own_column(
    detector: Detector, trace: Trace, other: Outcome, method: str
) -> None:
    used = detector.rerun(trace, [edits.set_sampling(method)])
    ends = (outcome(trace), other)  # bilinear, discrete
    choice = choose(used, query=3, layer=1, level=1)
    view = discrete.view(choice, ends[method == "default"])
    picture, rows = discrete.picture(view), list(discrete.rows(view).values())

    location = used[f"{SITE}.sampling_locations"].array  # the cells that discrete reads take, counted one by one
    cells = {0: set(), 3: set()}
    for query, found in cells.items():
        for q in range(20) if query == 0 else [query]:
            for head in range(4):
                for point, (x, y) in enumerate(location[q, head]):
                    level = [0, 0, 1, 1, 1, 1, 2, 2, 2][point]
                    h, w = used.map_sizes[level]
                    found.add((level, int(np.clip(x * w + 0.5, 0, w - 1)), int(np.clip(y * h + 0.5, 0, h - 1))))
    assert int(rows[0][1]) == len(cells[3]) < int(rows[0][0])
    assert int(rows[1][1]) == len(cells[0]) < int(rows[1][0])
    label = used.labels[3]
    for column, end in enumerate(ends):
        assert rows[2][column] == f"{1 / (1 + np.exp(-end.logits[3, label])):.2f}"
        x0, y0, x1, y1 = cxcywh_to_xyxy_px(end.boxes[3], (150, 100))
        assert rows[3][column].replace("−", "-") == f"{x0:.0f}, {y0:.0f} – {x1:.0f}, {y1:.0f}"
        assert rows[4][column] == str(int((end.logits > 0).sum()))  # scores above a half

    one, two = picture.drawing.panels
    assert one.area[0] < two.area[0]
    assert picture.alt_text.index("four cells on the left") < picture.alt_text.index("one cell for each point on the")
    for panel, name, at in ((one, "bilinear", 0), (two, "discrete", 1)):
        (heat,) = (mark for mark in panel.marks if isinstance(mark, Heat))
        assert panel.title.lower().startswith(name)
        assert ("as configured" in panel.title) == ((method == "discrete") == bool(at))
        assert heat.values.sum() == pytest.approx(view.maps[at].sum())
        assert int((heat.values > 0).sum()) == int(panel.subtitle.split()[0])
    taken = used[f"{SITE}.weights"].array[3][:, 2:6]
    assert view.maps[1].sum() == pytest.approx(taken.sum(), rel=1e-5)  # every point reads one cell of the map
    h, w = used.map_sizes[1]
    assert {(1, column, row) for row, column in zip(*np.nonzero(view.maps[1]), strict=True)} == {
        cell for cell in cells[3] if cell[0] == 1 and cell[1] < w and cell[2] < h
    }
    assert view.other in picture.caption


def test_denoising_queries_before_a_query_change_nothing(trace: Trace, noised: Trace, other: Outcome) -> None:
    chosen = [choose(kept, query=3, layer=1, compare=8, level=1) for kept in (trace, noised)]
    one, two = (weights.view(choice) for choice in chosen)
    np.testing.assert_allclose(one.by_head, two.by_head, atol=1e-3)
    one, two = (spread.view(choice) for choice in chosen)
    for field in ("side_px", "spread_px", "even_px", "ratios"):
        np.testing.assert_allclose(getattr(one, field), getattr(two, field), rtol=1e-3)
    one, two = (discrete.view(choice, other) for choice in chosen)
    np.testing.assert_allclose(one.box, two.box, atol=1e-4)
    np.testing.assert_allclose(one.locations_px, two.locations_px, atol=1e-2)
    np.testing.assert_allclose(one.maps, two.maps, atol=2e-3)
    assert one.cells_of_all == two.cells_of_all

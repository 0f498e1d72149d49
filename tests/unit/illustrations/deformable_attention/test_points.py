"""One point in numbers: its way to the location, the cells it reads, and its part in the head's sum."""

import re
from dataclasses import replace

import numpy as np
import pytest

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector, read_layer
from rtdetr_explained.drawing.marks import Text
from rtdetr_explained.illustrations.deformable_attention import cells
from rtdetr_explained.illustrations.deformable_attention import points as library
from rtdetr_explained.illustrations.deformable_attention.points import point_read
from rtdetr_explained.illustrations.deformable_attention.sampling import tokens_at
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.results import Reading
from rtdetr_explained.tracing.trace import Trace

POINTS = 4 * 9
LEVEL_OF = [0, 0, 1, 1, 1, 1, 2, 2, 2]


@pytest.fixture(scope="module")
def reading(detector: Detector, trace: Trace) -> Reading:
    return read_layer(detector, trace, 1)


@pytest.mark.parametrize("method", ["default", "discrete"])
def test_every_point_ends_where_the_model_samples_and_reads_what_it_reads(
    detector: Detector, trace: Trace, method: str
) -> None:
    edited = detector.rerun(trace, [edits.set_sampling(method)])
    reading = read_layer(detector, edited, 1)
    site = edited["decoder.layers.1.cross_attn"]
    largest = np.abs(site.sampled_values.array).max()
    for flat in range(POINTS):
        read = point_read(choose(edited, query=5, point=flat), reading)
        h, p = divmod(flat, 9)
        assert (read.chain.head, read.chain.level) == (h, LEVEL_OF[p])
        assert read.chain.point == p - LEVEL_OF.index(LEVEL_OF[p])
        assert read.chain.weight == site.weights.array[5, h, p]
        np.testing.assert_allclose(
            read.chain.reference + library.shift(read.chain), site.sampling_locations.array[5, h, p], atol=1e-6, rtol=0
        )
        expected = site.sampled_values.array[5, h, p]
        np.testing.assert_allclose(read.value, expected, atol=1e-6 * largest, rtol=0)
        value = site.value.array[tokens_at(edited, read.chain.level, read.cells), h]
        np.testing.assert_allclose(read.shares @ value, expected, atol=1e-6 * largest, rtol=0)
        np.testing.assert_allclose(read.lengths, np.linalg.norm(value, axis=-1), rtol=1e-6)


def test_the_parts_of_a_heads_points_sum_to_one(trace: Trace, reading: Reading) -> None:
    for head in range(4):
        reads = [point_read(choose(trace, query=5, point=head * 9 + p), reading) for p in range(9)]
        assert sum(read.share_of_head for read in reads) == pytest.approx(1, abs=1e-4)
        summed = sum(read.chain.weight * read.value for read in reads)
        np.testing.assert_allclose(reads[0].head_sum, summed, rtol=1e-4, atol=1e-3)


def test_points_are_ordered_by_weight_among_those_shown(trace: Trace, reading: Reading) -> None:
    weights = trace["decoder.layers.1.cross_attn.weights"].array[5].ravel()
    order = library.by_weight(choose(trace, query=5, layer=1))
    assert sorted(order.tolist()) == list(range(POINTS))
    assert (np.diff(weights[order]) <= 0).all()
    only = library.by_weight(choose(trace, query=5, layer=1, head=2, level=1))
    assert sorted(only.tolist()) == [2 * 9 + p for p in (2, 3, 4, 5)]
    read = point_read(choose(trace, query=5, head=2, level=1), reading)
    assert read.flat == only[0]
    assert (read.rank, read.heavier, read.lighter) == (0, None, only[1])
    last = point_read(choose(trace, query=5, head=2, level=1, point=int(only[-1])), reading)
    assert (last.rank, last.heavier, last.lighter) == (3, only[-2], None)
    hidden = point_read(choose(trace, query=5, head=2, level=1, point=0), reading)  # of another head
    assert (hidden.flat, hidden.rank, len(hidden.order)) == (only[0], 0, 4)


def test_the_numbers_are_written_in_either_unit(trace: Trace, reading: Reading) -> None:
    read = point_read(choose(trace, query=5, point=20), reading)
    for unit, size, digits in (("px", np.array([150, 100]), 1), ("image", np.ones(2), 4)):
        rows = {name: (x.replace("−", "-"), y.replace("−", "-")) for name, x, y in library.way(read, unit)}
        for name, value in (
            ("reference point p̂", read.chain.reference),
            ("location p̂ + shift", read.chain.location),
            ("× box width, height", read.chain.box_size),
            ("= shift", read.chain.location - read.chain.reference),
        ):
            np.testing.assert_allclose(
                [float(number) for number in rows[name]], value * size, atol=0.51 * 10**-digits, rtol=0
            )
        assert float(rows["raw offset Δp"][0]) == pytest.approx(read.chain.offset[0], abs=6e-4)
    rest = dict(library.rest(read))
    assert rest["× weight A"] == f"{read.chain.weight:.4f}"
    assert library.name_of(read.chain) == "head 2, S4, point 0"


def test_small_numbers_are_not_written_as_zero(trace: Trace, reading: Reading) -> None:
    read = point_read(choose(trace, query=5, point=20), reading)
    faint = replace(read, value=read.value * np.float32(1e-5), head_sum=read.head_sum * np.float32(1e-3))
    for name, text in library.rest(faint):
        assert float(text.replace("−", "-").rstrip("%")) != 0, name
    length = float(np.linalg.norm(faint.value))
    assert float(library.rest(faint)[0][1]) == pytest.approx(length, rel=0.006)


@pytest.mark.parametrize("method", ["default", "discrete"])
def test_the_figure_tells_every_cell_and_its_share(detector: Detector, trace: Trace, method: str) -> None:
    edited = detector.rerun(trace, [edits.set_sampling(method)])
    reading = read_layer(detector, edited, 1)
    outside = 0
    for flat in range(0, POINTS, 5):
        read = point_read(choose(edited, query=5, point=flat), reading)
        picture = cells.picture(read)
        written = " | ".join(mark.text for mark in picture.drawing.of(Text))
        rows = picture.table
        assert len(rows["share"]) == (1 if method == "discrete" else 4)
        for column, row, inside, share in zip(
            rows["column"], rows["row"], rows["inside the map"], read.shares.tolist(), strict=True
        ):
            assert f"column {column}, row {row}" in written
            outside += not inside
            shown = re.findall(rf"column {column}, row {row} \| ([\d.]+) · \|v\|", written)
            if inside:
                assert [float(text) for text in shown] == pytest.approx([share], abs=0.01)
            else:
                assert shown == []
                assert share == 0
        if all(rows["inside the map"]):
            assert sum(cells.shown_shares(read)) == pytest.approx(1)
        assert "query 5" in picture.alt_text
        # What lies outside counts as zero in a bilinear read; a discrete one never reads there.
        assert ("zero" in written) == (method == "default" and not all(rows["inside the map"]))
    assert outside == 0 if method == "discrete" else outside > 0


@pytest.mark.parametrize(
    ("parts", "rounded"),
    [
        ([0.7045, 0.124, 0.0435, 0.128], [0.71, 0.12, 0.04, 0.13]),  # rounded one by one they would sum to 0.99
        ([0.25, 0.25, 0.25, 0.25], [0.25, 0.25, 0.25, 0.25]),
        ([0.005, 0.495, 0.005, 0.495], [0.01, 0.5, 0.0, 0.49]),  # of equal remainders the first
        ([1.0, 0.0, 0.0, 0.0], [1, 0, 0, 0]),
    ],
)
def test_hundredths_sum_to_one(parts: list[float], rounded: list[float]) -> None:
    assert cells.hundredths(np.array(parts)).tolist() == rounded

"""The fusion graph: every node is the trace's map, in its place, with true relative size."""

import re

import numpy as np
import pytest
from drawn import words
from random_models import random_photo

from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.marks import Heat, Lines
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations import ccff
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace


@pytest.fixture(scope="module")
def default_trace(detector: Detector, trace: Trace) -> Trace:
    """Without P3 and P4, which the default set leaves out."""
    return detector.trace(trace.photo)


def test_nodes_are_the_root_mean_square_over_channels(trace: Trace) -> None:
    nodes = {node.name: node for node in ccff.view(choose(trace)).nodes}
    assert list(nodes) == ["P5", "P4", "P3", "T5", "F4", "N3", "N4", "N5"]
    for name, node in nodes.items():
        array = trace[ccff.SITES[name]].array.astype(np.float64)
        assert node.values is not None
        np.testing.assert_allclose(node.values, np.sqrt((array**2).mean(axis=0)), rtol=1e-5)
        assert node.shape == array.shape


def test_maps_that_were_not_kept_are_empty_frames_with_their_shapes(default_trace: Trace) -> None:
    view = ccff.view(choose(default_trace))
    missing = [node for node in view.nodes if node.values is None]
    assert [node.name for node in missing] == ["P4", "P3"]
    assert missing[1].shape == default_trace["hybrid_encoder.ccff.n3"].shape
    assert "not kept" in words(ccff.picture(view).drawing)
    assert "P4 and P3 were not kept" in ccff.picture(view).caption


def test_maps_that_were_kept_are_drawn(trace: Trace) -> None:
    view = ccff.view(choose(trace))
    assert all(node.values is not None for node in view.nodes)
    assert "not kept" not in words(ccff.picture(view).drawing) | {ccff.picture(view).caption}
    assert len(ccff.picture(view).drawing.of(Heat)) == len(view.nodes) + 1  # and the colour bar


def test_one_channel_is_signed_and_centred_on_zero(trace: Trace) -> None:
    nodes = {node.name: node for node in ccff.view(choose(trace, channel=4, scale="map")).nodes}
    expected = trace["hybrid_encoder.ccff.t5"].array[4].astype(np.float32)
    np.testing.assert_array_equal(nodes["T5"].values, expected)
    for node in nodes.values():
        assert node.values is not None
        assert node.kind == "diverging"
        assert -node.low == node.high == np.abs(node.values).max()


def test_scale_of_the_stage_is_shared_and_scale_of_a_map_is_its_own(trace: Trace) -> None:
    shared = ccff.view(choose(trace, scale="stage")).nodes
    assert len({(node.low, node.high) for node in shared}) == 1
    assert shared[0].high == max(float(node.values.max()) for node in shared if node.values is not None)
    for node in ccff.view(choose(trace, scale="map")).nodes:
        if node.values is not None:
            assert (node.low, node.high) == (node.values.min(), node.values.max())


@pytest.mark.parametrize("size", [(640, 480), (300, 900), (1600, 500)])
def test_nodes_keep_the_photo_s_proportions_and_apart(size: tuple[int, int]) -> None:
    at = ccff.places(size)
    for place in at.values():
        assert (place.x1 - place.x0) / (place.y1 - place.y0) == pytest.approx(size[0] / size[1])
        assert place.x0 >= 0
        assert place.x1 <= ccff.WIDTH
    assert at["N3"].x1 - at["N3"].x0 == pytest.approx(4 * (at["N5"].x1 - at["N5"].x0))
    names = list(at)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            a, b = at[one], at[other]
            assert a.x1 < b.x0 or b.x1 < a.x0 or a.y1 < b.y0 or b.y1 < a.y0


def test_the_figure_lays_each_map_at_its_place(trace: Trace) -> None:
    view = ccff.view(choose(trace))
    heats = ccff.picture(view).drawing.of(Heat)
    place = ccff.places(view.image_size)["F4"]
    f4 = next(node for node in view.nodes if node.name == "F4")
    assert f4.values is not None
    heat = next(heat for heat in heats if np.array_equal(heat.values, np.asarray(f4.values)))
    assert heat.extent == (place.x0, place.y0, place.x1, place.y1)
    assert heat.hover is not None
    np.testing.assert_array_equal(heat.hover[3, 5], [3, 5])


def test_a_channel_that_does_not_exist_is_refused(trace: Trace) -> None:
    with pytest.raises(InputError, match="no channel 32 in the maps of the encoder; choose one from 0 to 31"):
        ccff.view(choose(trace, channel=32))


def test_the_words_join_what_the_network_joins(detector: Detector, trace: Trace) -> None:
    """Below each block of the fusion, the map that comes second in its input is the one that the words name."""
    fusion = detector.model.get_submodule("hybrid_encoder.ccff")
    seen: dict[str, np.ndarray] = {}
    maps = {name: trace[site].array for name, site in ccff.SITES.items()} | {
        "T4": trace["hybrid_encoder.ccff.t4"].array
    }

    def keep(name: str):
        return lambda module, inputs: seen.update({name: inputs[0][0].numpy().copy()})

    blocks = {"F4": "fpn_blocks.0", "N3": "fpn_blocks.1", "N4": "pan_blocks.0", "N5": "pan_blocks.1"}
    hooks = [fusion.get_submodule(path).register_forward_pre_hook(keep(name)) for name, path in blocks.items()]
    detector.trace(random_photo(100, 150), sites=[])
    for hook in hooks:
        hook.remove()
    words = ccff.picture(ccff.view(choose(trace))).alt_text
    for name, stacked in seen.items():
        second = stacked[len(stacked) // 2 :]
        found = re.search(rf"joined with (\w\d) to {name}", words)
        assert found, name
        alike = [
            m for m, array in maps.items() if array.shape == second.shape and np.allclose(array, second, atol=1e-4)
        ]
        assert alike == [found[1]]


def test_words_and_table(trace: Trace) -> None:
    view = ccff.view(choose(trace))
    table = ccff.picture(view).table
    assert table["map"][-1] == "N5"
    assert table["highest"][-1] == pytest.approx(
        float(ccff.channel_map(trace["hybrid_encoder.ccff.n5"].array, None).max())
    )


# RT-DETR (2304.08069), figure 4, without the lateral maps that are not drawn: from which map each map is made.
FLOW = {("P5", "T5"), ("T5", "F4"), ("P4", "F4"), ("F4", "N3"), ("P3", "N3"), ("N3", "N4"), ("F4", "N4"), ("N4", "N5")}
FLOW |= {("T5", "N5")}


def test_every_arrow_goes_from_a_map_to_one_that_is_made_from_it(trace: Trace) -> None:
    view = ccff.view(choose(trace))
    drawing, at = ccff.picture(view).drawing, ccff.places(view.image_size)

    def touched(x: float, y: float) -> str:
        """The map whose frame is at most six pixels away."""
        near = [n for n, p in at.items() if p.x0 - 6 <= x <= p.x1 + 6 and p.y0 - 6 <= y <= p.y1 + 6]
        assert len(near) == 1, (x, y, near)
        return near[0]

    lines = [mark for mark in drawing.of(Lines) if not mark.name]
    shafts = lines[::2]  # each is followed by its head
    found = {(touched(m.x[0], m.y[0]), touched(m.x[-1], m.y[-1])) for m in shafts}
    assert found == FLOW
    assert len(shafts) == len(FLOW)
    for shaft, head in zip(shafts, lines[1::2], strict=True):
        np.testing.assert_allclose([head.x[1], head.y[1]], [shaft.x[-1], shaft.y[-1]], atol=1e-3)


def test_maps_stand_further_right_the_later_they_are_made(trace: Trace) -> None:
    at = ccff.places(ccff.view(choose(trace)).image_size)
    inputs, top_down, bottom_up = (
        {round(at[name].x, 3) for name in names.split()} for names in ("P3 P4 P5", "T5 F4 N3", "N4 N5")
    )
    assert [len(columns) for columns in (inputs, top_down, bottom_up)] == [1, 1, 1]
    assert max(inputs) < max(top_down) < max(bottom_up)
    for coarse, fine in (("P5", "P4"), ("P4", "P3"), ("T5", "F4"), ("F4", "N3"), ("N5", "N4")):
        assert at[coarse].y < at[fine].y
        assert (at[fine].x1 - at[fine].x0) == pytest.approx(2 * (at[coarse].x1 - at[coarse].x0))

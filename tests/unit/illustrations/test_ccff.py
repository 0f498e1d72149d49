"""The fusion graph: every node is the trace's map, in its place, with true relative size."""

import numpy as np
import pytest
from figure_checks import check_twins, plotly_maps, plotly_traces, plotly_words

from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations import ccff
from rtdetr_explained.tracing.trace import Trace


@pytest.fixture(scope="module")
def default_trace(detector: Detector, trace: Trace) -> Trace:
    """Without P3 and P4, which the default set leaves out."""
    return detector.trace(trace.photo)


def test_nodes_are_the_root_mean_square_over_channels(trace: Trace) -> None:
    nodes = {node.name: node for node in ccff.view(trace).nodes}
    assert list(nodes) == ["P5", "P4", "P3", "T5", "F4", "N3", "N4", "N5"]
    for name, node in nodes.items():
        array = trace[ccff.SITES[name]].array.astype(np.float64)
        assert node.values is not None
        np.testing.assert_allclose(node.values, np.sqrt((array**2).mean(axis=0)), rtol=1e-5)
        assert node.shape == array.shape


def test_maps_that_were_not_kept_are_empty_frames_with_their_shapes(default_trace: Trace) -> None:
    view = ccff.view(default_trace)
    missing = [node for node in view.nodes if node.values is None]
    assert [node.name for node in missing] == ["P4", "P3"]
    assert missing[1].shape == default_trace["hybrid_encoder.ccff.n3"].shape
    assert "not kept" in plotly_words(ccff.plotly_figure(view, "light"))
    assert "P4 and P3 were not kept" in ccff.caption(view)


def test_maps_that_were_kept_are_drawn(trace: Trace) -> None:
    view = ccff.view(trace)
    assert all(node.values is not None for node in view.nodes)
    assert "not kept" not in plotly_words(ccff.plotly_figure(view, "light")) | {ccff.caption(view)}
    assert len(plotly_maps(ccff.plotly_figure(view, "light"))) == len(view.nodes) + 1  # and the colour bar


def test_one_channel_is_signed_and_centred_on_zero(trace: Trace) -> None:
    nodes = {node.name: node for node in ccff.view(trace, channel=4, scale="map").nodes}
    expected = trace["hybrid_encoder.ccff.t5"].array[4].astype(np.float32)
    np.testing.assert_array_equal(nodes["T5"].values, expected)
    for node in nodes.values():
        assert node.values is not None
        assert node.kind == "diverging"
        assert -node.low == node.high == np.abs(node.values).max()


def test_scale_of_the_stage_is_shared_and_scale_of_a_map_is_its_own(trace: Trace) -> None:
    shared = ccff.view(trace, scale="stage").nodes
    assert len({(node.low, node.high) for node in shared}) == 1
    assert shared[0].high == max(float(node.values.max()) for node in shared if node.values is not None)
    for node in ccff.view(trace, scale="map").nodes:
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
    view = ccff.view(trace)
    heats = plotly_traces(ccff.plotly_figure(view, "light"), "heatmap")
    place = ccff.places(view.image_size)["F4"]
    f4 = next(node for node in view.nodes if node.name == "F4")
    assert f4.values is not None
    heat = next(heat for heat in heats if np.array_equal(heat.z, np.asarray(f4.values)))
    _, h, w = f4.shape
    assert heat.x0 - heat.dx / 2 == pytest.approx(place.x0)
    assert heat.dx * w == pytest.approx(place.x1 - place.x0)
    assert heat.dy * h == pytest.approx(place.y1 - place.y0)
    np.testing.assert_array_equal(heat.customdata[3, 5], [3, 5])


@pytest.mark.parametrize("selection", [{}, {"channel": 9}, {"scale": "map"}])
def test_plotly_and_matplotlib_agree(trace: Trace, selection: dict) -> None:
    check_twins(ccff, ccff.view(trace, **selection))


@pytest.mark.parametrize(
    ("selection", "message"), [({"channel": 32}, "no channel 32"), ({"scale": "photo"}, "no scale 'photo'")]
)
def test_what_does_not_exist_is_refused(trace: Trace, selection: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ccff.view(trace, **selection)


def test_words_and_table(trace: Trace) -> None:
    view = ccff.view(trace)
    assert "joined with F4 to N4" in ccff.alt_text(view)
    table = ccff.table(view)
    assert table["map"][-1] == "N5"
    assert table["highest"][-1] == pytest.approx(
        float(ccff.channel_map(trace["hybrid_encoder.ccff.n5"].array, None).max())
    )

"""The backbone's figure: the trace's maps at their true grids."""

from dataclasses import replace

import numpy as np
import pytest

from rtdetr_explained.drawing.marks import Heat
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations import backbone
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace


def test_each_map_is_the_root_mean_square_over_channels(trace: Trace) -> None:
    view = backbone.view(choose(trace))
    for level, name, stride in zip(view.levels, ("s3", "s4", "s5"), (8, 16, 32), strict=True):
        array = trace[f"backbone.{name}"].array.astype(np.float64)
        np.testing.assert_allclose(level.values, np.sqrt((array**2).mean(axis=0)), rtol=1e-5)
        assert level.shape == array.shape
        assert level.stride == stride
        assert (level.low, level.high) == (level.values.min(), level.values.max())


def test_one_channel_is_drawn_as_it_is(trace: Trace) -> None:
    view = backbone.view(choose(trace, channel=3))
    np.testing.assert_array_equal(view.levels[1].values, trace["backbone.s4"].array[3].astype(np.float32))


def test_a_common_scale_spans_all_three_maps(trace: Trace) -> None:
    levels = backbone.view(choose(trace, scale="stage")).levels
    ranges = {(level.low, level.high) for level in levels}
    assert ranges == {(min(float(m.values.min()) for m in levels), max(float(m.values.max()) for m in levels))}


def test_the_strongest_channels_come_first(trace: Trace) -> None:
    level = backbone.view(choose(trace)).levels[2]
    array = trace["backbone.s5"].array.astype(np.float64)
    strength = (array**2).mean(axis=(1, 2))
    assert strength[list(level.strongest)].min() >= np.sort(strength)[::-1][backbone.STRONGEST - 1] * (1 - 1e-6)
    np.testing.assert_array_equal(level.strongest_maps, array[list(level.strongest)].astype(np.float32))


def test_the_figure_holds_the_maps_and_their_channels(trace: Trace) -> None:
    view = backbone.view(choose(trace))
    maps = [heat.values for heat in backbone.picture(view).drawing.of(Heat)]
    for level in view.levels:
        assert any(np.array_equal(values, level.values) for values in maps)
    assert len(maps) == 3 * (1 + 1 + backbone.STRONGEST)  # map, colour bar, channels


def test_the_squares_on_the_photo_have_the_size_of_a_cell(trace: Trace) -> None:
    drawing = backbone.picture(backbone.view(choose(trace))).drawing
    for name, (h, w) in zip(("S3", "S4", "S5"), trace.map_sizes, strict=True):
        square = drawing.named(f"cell of {name}")
        assert np.ptp(square.x[:5]) == pytest.approx(trace.image_size[0] / w)
        assert np.ptp(square.y[:5]) == pytest.approx(trace.image_size[1] / h)


def test_a_channel_that_does_not_exist_is_refused(trace: Trace) -> None:
    with pytest.raises(InputError, match="no channel 16 in S3; choose one from 0 to 15"):
        backbone.view(choose(trace, channel=16))


def test_words_and_table(trace: Trace) -> None:
    view = backbone.view(choose(trace))
    assert "root mean square" in backbone.picture(view).caption
    assert "Channel 7" in backbone.picture(backbone.view(choose(trace, channel=7))).caption
    row, column = np.unravel_index(view.levels[0].values.argmax(), view.levels[0].values.shape)
    assert f"row {row}, column {column}" in backbone.picture(view).alt_text
    assert backbone.picture(view).table["channels"] == [16, 32, 64]


def test_the_caption_names_the_network_that_runs(trace: Trace) -> None:
    assert backbone.picture(backbone.view(choose(trace))).caption.startswith("Maps of ResNet-18-vd. ")
    config = trace.meta["config"]
    lite = replace(trace, meta=trace.meta | {"config": config | {"backbone": "efficientnet_lite0"}})
    view = backbone.view(choose(lite))
    assert backbone.picture(view).caption.startswith("Maps of EfficientNet-Lite0. ")
    assert "inverted residuals" in backbone.BLOCKS[view.backbone]
    older = replace(trace, meta=trace.meta | {"config": {k: v for k, v in config.items() if k != "backbone"}})
    assert backbone.view(choose(older)).network == "ResNet-18-vd"

"""Backbone: the three maps that leave it, as a whole and channel by channel, and what its blocks do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rtdetr_explained.drawing import layout
from rtdetr_explained.drawing.colors import LEVEL_COLORS, LEVEL_MARKERS, LEVEL_NAMES, MUTED, TEXT, Scale
from rtdetr_explained.drawing.maps import cells, channel_map, color_bar, map_panel, value_range
from rtdetr_explained.drawing.marks import (
    SMALL_PX,
    Area,
    Axis,
    Drawing,
    Lines,
    Mark,
    Panel,
    Photo,
    Picture,
    Points,
    Text,
)
from rtdetr_explained.drawing.text import number, shape_text
from rtdetr_explained.model.config import LEVEL_STRIDES
from rtdetr_explained.tracing.choice import Choice, Scope

STRONGEST = 6  # single channels shown for each map
WIDTH, HEADER = 900, 46
BLOCKS = {
    "resnet_vd": "It is made of residual blocks: two 3×3 convolutions (from depth 50 on a 1×1 to fewer channels, a "
    "3×3, a 1×1 back to more) whose result is added to what came in, so that a block only has to learn a change. “vd” "
    "is a variant of ResNet: three 3×3 convolutions begin it instead of one 7×7, and where a stage halves the map, the "
    "shortcut takes the mean of 2×2 cells before its 1×1 convolution; a 1×1 with a stride would leave out three cells "
    "of four.",
    "efficientnet_lite0": "It is made of inverted residuals: a 1×1 convolution widens the map to six times its "
    "channels, a 3×3 or 5×5 filters each of them by itself (depthwise), and another 1×1 narrows the map again; the "
    "result is added to what came in where the shapes agree. Wide inside and narrow between the blocks is the other "
    "way round than in a ResNet, and cheap, as only the 1×1 convolutions mix channels. The last of them has no "
    "activation, the others end at 6 (ReLU6). “Lite” leaves out EfficientNet's squeeze-and-excitation.",
}


@dataclass(frozen=True)
class LevelMap:
    """One map: `values` (h, w) are what is drawn, `low` and `high` the ends of its colours.

    `strongest` are the channels with the largest root mean square over the map, and `strongest_maps` (n, h, w) their
    values.
    """

    name: str
    stride: int
    shape: tuple[int, int, int]
    values: np.ndarray
    kind: Scale
    low: float
    high: float
    strongest: tuple[int, ...]
    strongest_maps: np.ndarray


@dataclass(frozen=True)
class BackboneView:
    """The maps S3, S4, S5: one `channel` of each, or the root mean square over all channels when it is None.

    `backbone` is the kind of network, a key of `BLOCKS`, and `network` its name. With `scale` "map" each map has its
    own range of colours, with "stage" the three share one.
    """

    backbone: str
    network: str
    photo: Image.Image
    image_size: tuple[int, int]
    input_size: tuple[int, int]
    channel: int | None
    scale: Scope
    levels: tuple[LevelMap, ...]


def view(choice: Choice) -> BackboneView:
    """What left the backbone. Raises InputError for a channel that S3, the narrowest map, does not have."""
    trace, scale = choice.trace, choice.scale or "map"
    arrays = [trace[f"backbone.{name.lower()}"].array for name in LEVEL_NAMES]
    channel = choice.channel_of(len(arrays[0]), "S3")
    values = [channel_map(array, channel) for array in arrays]
    levels = []
    for name, stride, array, drawn in zip(LEVEL_NAMES, LEVEL_STRIDES, arrays, values, strict=True):
        kind, low, high = value_range(values if scale == "stage" else [drawn])
        strength = np.sqrt(np.mean(np.square(array.astype(np.float32)), axis=(1, 2)))  # C
        strongest = np.argsort(-strength, kind="stable")[:STRONGEST]
        shape = (len(array), *drawn.shape)
        maps = array[strongest].astype(np.float32)
        levels.append(LevelMap(name, stride, shape, drawn, kind, low, high, tuple(strongest.tolist()), maps))
    config = choice.config
    backbone = config.get("backbone", "resnet_vd")  # older traces have no such entry
    network = "EfficientNet-Lite0" if backbone == "efficientnet_lite0" else f"ResNet-{config['depth']}-vd"
    return BackboneView(
        backbone, network, trace.photo, trace.image_size, trace.input_size, channel, scale, tuple(levels)
    )


def picture(view: BackboneView) -> Picture:
    """Four columns: the photo, then S3, S4, S5 with their colour bars and their strongest channels."""
    return Picture(drawing(view), caption(view), alt_text(view), table(view))


def drawing(view: BackboneView) -> Drawing:
    """The panels, column by column."""
    gap, column = 0.018, (1 - 3 * 0.018) / 4
    aspect = view.image_size[1] / view.image_size[0]
    tall = min(column * WIDTH * aspect, 380)
    small = (column - 2 * 0.006) / 3  # a channel's tile
    tile = min(small * WIDTH * aspect, 130)
    bar, tiles = HEADER + tall + 26, HEADER + tall + 86  # pixels from above
    height = round(tiles + 2 * (tile + 24) - 16)

    panels = [photo_panel(view, (0, HEADER, column, HEADER + tall))]
    panels.append(note(view, (0, bar - 18, column, height), tiles - bar + 18))
    for i, level in enumerate(view.levels):
        x = (i + 1) * (column + gap)
        what = "root mean square over channels" if view.channel is None else f"channel {view.channel}"
        heat = cells(level.values, level.kind, level.low, level.high, f"{level.name}, {what}")
        edge = Lines(
            np.array([-0.5, level.shape[2] - 0.5]), np.array([-0.5, -0.5]), LEVEL_COLORS[i], 5, name=level.name
        )
        panels.append(
            map_panel(
                (x, HEADER, x + column, HEADER + tall),
                level.shape[1:],
                view.image_size,
                [heat, edge],
                title=level.name,
                subtitle=f"{shape_text(level.shape)}, stride {level.stride}",
            )
        )
        label = "RMS over channels" if view.channel is None else what
        scope = f"range of {'S3–S5' if view.scale == 'stage' else level.name}"
        panels.append(color_bar((x, bar, x + column, bar + 9), level.kind, level.low, level.high, label, scope))
        for k, (channel, values) in enumerate(zip(level.strongest, level.strongest_maps, strict=True)):
            kind, low, high = value_range([values])
            heat = cells(values, kind, low, high, f"{level.name}, channel {channel}")
            left, top = x + (k % 3) * (small + 0.006), tiles + (k // 3) * (tile + 24)
            area = (left, top, left + small, top + tile)
            panels.append(map_panel(area, level.shape[1:], view.image_size, [heat], subtitle=f"ch. {channel}"))
    return Drawing(panels, WIDTH, height)


def photo_panel(view: BackboneView, area: Area) -> Panel:
    """The photo with one cell of each map in its middle, at its true size."""
    width, height = view.image_size
    marks: list[Mark] = [Photo(view.photo, (0, 0, width, height))]
    for level, color in reversed(list(zip(view.levels, LEVEL_COLORS, strict=True))):
        _, h, w = level.shape
        row, column = h // 2, w // 2
        cell = np.array([column * width / w, row * height / h, (column + 1) * width / w, (row + 1) * height / h])
        hover = f"one cell of {level.name}: {level.stride}×{level.stride} px of the input"
        marks.append(layout.outline(cell, color, 2.2, hover=hover, name=f"cell of {level.name}"))
    seen = f"seen at {view.input_size[1]}×{view.input_size[0]} px"
    return layout.photo_panel(area, view.image_size, marks, title="Photo", subtitle=seen)


def note(view: BackboneView, area: Area, tiles: float) -> Panel:
    """What the squares on the photo are and, beside the tiles that start `tiles` pixels below, what those are."""
    marks: list[Mark] = [Text(0, 8, "one cell, in px of the input", MUTED, SMALL_PX)]
    for i, (level, color, marker) in enumerate(zip(view.levels, LEVEL_COLORS, LEVEL_MARKERS, strict=True)):
        y = 25 + 16 * i
        marks.append(Points(np.array([0.03]), np.array([y]), color, 9, marker, name=level.name))
        marks.append(Text(0.03, y, f"{level.name}: {level.stride}×{level.stride}", TEXT, SMALL_PX, dx=9))
    lines = (f"the {STRONGEST} strongest channels", "of each map (largest RMS),", "each in its own range")
    marks += [Text(0, tiles + 8 + 15 * i, line, MUTED, SMALL_PX) for i, line in enumerate(lines)]
    return Panel(area, Axis((0, 1)), Axis((area[3] - area[1], 0)), marks)


def caption(view: BackboneView) -> str:
    """One sentence saying what is seen."""
    if view.channel is None:
        what = "How strongly all channels together answer in each cell (root mean square)"
    else:
        what = f"Channel {view.channel} of each map (channels of different maps have nothing to do with each other)"
    ranges = ", ".join(f"{level.name} {number(level.low)} to {number(level.high)}" for level in view.levels)
    what = f"Maps of {view.network}. {what}"
    return f"{what}; colours: {ranges}. Below: the {STRONGEST} strongest channels of each map, each in its own range."


def alt_text(view: BackboneView) -> str:
    """The figure in words."""
    peaks = []
    for level in view.levels:
        row, column = np.unravel_index(level.values.argmax(), level.values.shape)
        peaks.append(f"{level.name} ({shape_text(level.shape)}) is strongest in row {row}, column {column}")
    return f"The photo and heat maps of S3, S4 and S5. {'; '.join(peaks)}. {caption(view)}"


def table(view: BackboneView) -> dict[str, list]:
    """The maps in numbers."""
    return {
        "map": [level.name for level in view.levels],
        "channels": [level.shape[0] for level in view.levels],
        "rows": [level.shape[1] for level in view.levels],
        "columns": [level.shape[2] for level in view.levels],
        "stride": [level.stride for level in view.levels],
        "lowest": [float(level.values.min()) for level in view.levels],
        "mean": [float(level.values.mean()) for level in view.levels],
        "highest": [float(level.values.max()) for level in view.levels],
        "strongest channels": [", ".join(map(str, level.strongest)) for level in view.levels],
    }

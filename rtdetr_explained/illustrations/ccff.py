"""CCFF: the fusion of the three scales as a graph, top-down and then bottom-up, each node the map itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtdetr_explained.drawing.colors import GREY, LEVEL_COLORS, MUTED, TEXT, Scale
from rtdetr_explained.drawing.layout import outline
from rtdetr_explained.drawing.maps import channel_map, color_bar_marks, value_range
from rtdetr_explained.drawing.marks import FONT_PX, SMALL_PX, Axis, Drawing, Heat, Lines, Mark, Panel, Picture, Text
from rtdetr_explained.drawing.text import number, shape_text
from rtdetr_explained.tracing.choice import Choice, Scope

WIDTH = 900
COLUMNS = (108.0, 440.0, 735.0)  # centres of the inputs, the top-down and the bottom-up path, in pixels
WIDEST, TALLEST = 210.0, 200.0  # of a map at stride 8, in pixels
TOP, BETWEEN = 52.0, 62.0
SITES = {
    "P5": "hybrid_encoder.aifi.output",
    "P4": "hybrid_encoder.p4",
    "P3": "hybrid_encoder.p3",
    "T5": "hybrid_encoder.ccff.t5",
    "F4": "hybrid_encoder.ccff.f4",
    "N3": "hybrid_encoder.ccff.n3",
    "N4": "hybrid_encoder.ccff.n4",
    "N5": "hybrid_encoder.ccff.n5",
}
NODE_COLUMN = {"P5": 0, "P4": 0, "P3": 0, "T5": 1, "F4": 1, "N3": 1, "N4": 2, "N5": 2}
LONG_NAMES = {"P5": "P5 after AIFI"}


@dataclass(frozen=True)
class Node:
    """One map of the graph: `values` (h, w), None when the trace did not keep them, drawn between `low` and `high`."""

    name: str
    site: str
    doc: str
    shape: tuple[int, ...]
    values: np.ndarray | None
    kind: Scale
    low: float
    high: float

    @property
    def level(self) -> int:
        """0, 1, 2 for strides 8, 16, 32."""
        return int(self.name[1]) - 3


@dataclass(frozen=True)
class CcffView:
    """The nodes: one `channel` of each, or the root mean square over channels when `channel` is None."""

    image_size: tuple[int, int]
    channel: int | None
    scale: Scope
    nodes: tuple[Node, ...]


def view(choice: Choice) -> CcffView:
    """The fusion graph; with `scale` "map" each map has its own range of colours, else all share one.

    Raises InputError for a channel that does not exist.
    """
    trace, scale = choice.trace, choice.scale or "stage"
    infos = {site.name: site for site in trace.sites()}
    channel = choice.channel_of(infos[SITES["N3"]].shape[0], "the maps of the encoder")
    values = {name: channel_map(trace[site].array, channel) for name, site in SITES.items() if site in trace}
    kind, low, high = value_range(list(values.values()))
    nodes = []
    for name, site in SITES.items():
        drawn = values.get(name)
        ends = low, high
        if scale == "map" and drawn is not None:
            reach = float(np.abs(drawn).max())
            ends = (-reach, reach) if kind == "diverging" else value_range([drawn])[1:]
        nodes.append(Node(name, site, infos[site].doc, infos[site].shape, drawn, kind, *ends))
    return CcffView(trace.image_size, channel, scale, tuple(nodes))


def picture(view: CcffView) -> Picture:
    """The graph, each node a map at its true size."""
    return Picture(drawing(view), caption(view), alt_text(view), table(view))


@dataclass(frozen=True)
class Place:
    """Where a node lies, in pixels."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def x(self) -> float:
        return (self.x0 + self.x1) / 2

    @property
    def y(self) -> float:
        return (self.y0 + self.y1) / 2


def places(image_size: tuple[int, int]) -> dict[str, Place]:
    """The graph's layout: every cell of a finer map is half as wide as one of the next coarser map."""
    aspect = image_size[1] / image_size[0]
    width = min(WIDEST, TALLEST / aspect)
    sizes = [(width / 2**level, width * aspect / 2**level) for level in range(3)]
    tops = [TOP + sizes[2][1] + sizes[1][1] + 2 * BETWEEN, TOP + sizes[2][1] + BETWEEN, TOP]
    found = {}
    for name, column in NODE_COLUMN.items():
        level = int(name[1]) - 3
        (w, h), x, y = sizes[level], COLUMNS[column], tops[level]
        found[name] = Place(x - w / 2, y, x + w / 2, y + h)
    return found


def drawing(view: CcffView) -> Drawing:
    """One panel in pixels, so that maps and arrows keep their places when the page is narrow."""
    at = places(view.image_size)
    height = max(at["N3"].y1, at["N3"].y + 98) + 10
    marks: list[Mark] = []
    for node in view.nodes:
        marks += node_marks(node, at[node.name], view.scale)
    marks += edges(at)
    what = "RMS over channels" if view.channel is None else f"channel {view.channel}"
    own = view.scale == "map"
    node = view.nodes[0]
    low, high = ("lowest", "highest") if own else (number(node.low), number(node.high))
    left = at["N3"].x1 + 60
    extent = (left, height - 34, WIDTH - 6, height - 25)
    marks += color_bar_marks(extent, node.kind, low, high, what, f"range of {'each map' if own else 'all maps'}")
    legend = "framed in colour: the outputs"
    marks.append(Text(left, extent[1], legend, MUTED, SMALL_PX, dy=28))
    panel = Panel((0, 0, 1, height), Axis((0, WIDTH)), Axis((height, 0)), marks, ratio=1)
    return Drawing([panel], WIDTH, round(height))


def node_marks(node: Node, place: Place, scale: Scope) -> list[Mark]:
    """The map (or an empty frame), its frame, and its name, shape and range above the line that leaves it."""
    extent = (place.x0, place.y0, place.x1, place.y1)
    output = node.name in ("N3", "N4", "N5")
    marks: list[Mark] = []
    if node.values is not None:
        hover = f"{node.name}<br>row %{{customdata[0]}}, column %{{customdata[1]}}: <b>%{{z:.3g}}</b>"
        cells = np.moveaxis(np.indices(node.values.shape, dtype=np.uint16), 0, -1)  # h w 2
        values = node.values.astype(np.float32)
        marks.append(Heat(values, extent, node.low, node.high, node.kind, cells, hover))
    else:
        marks.append(Text(place.x, place.y, "not kept", MUTED, SMALL_PX, "center"))
    frame, width = (LEVEL_COLORS[node.level], 3.0) if output else (GREY, 1.0)
    dash = "solid" if node.values is not None else "dash"
    marks.append(outline(np.array(extent), frame, width, dash, halo=False, name=node.name))
    lines = [
        (LONG_NAMES.get(node.name, node.name), FONT_PX, TEXT),
        (shape_text(node.shape), SMALL_PX, MUTED),
    ]
    if scale == "map" and node.values is not None:
        lines.append((f"{number(node.low)} to {number(node.high)}", SMALL_PX, MUTED))
    for i, (text, size, color) in enumerate(reversed(lines)):
        marks.append(Text(place.x1, place.y, text, color, size, dx=7, dy=9 + 14 * i, bold=size == FONT_PX))
    return marks


def edges(at: dict[str, Place]) -> list[Mark]:
    """The arrows of the graph with the operations on them."""
    marks: list[Mark] = []
    gap = 4
    for source, target, words in (
        ("P5", "T5", "1×1 conv"),
        ("P4", "F4", "concat, CSP"),
        ("P3", "N3", "concat, CSP"),
        ("F4", "N4", "T4; concat, CSP"),
        ("T5", "N5", "concat, CSP"),
    ):
        a, b = at[source], at[target]
        marks += arrow([(a.x1 + gap, a.y), (b.x0 - gap, a.y)], MUTED)
        marks.append(Text(b.x0, a.y, words, MUTED, SMALL_PX, "right", dx=-12, dy=-9))
    for source, target, words in (
        ("T5", "F4", ("doubled in size",)),
        ("F4", "N3", ("1×1 conv gives T4,", "doubled in size")),
    ):
        a, b = at[source], at[target]
        marks += arrow([(a.x, a.y1 + gap), (b.x, b.y0 - gap)], MUTED)
        marks += beside(a.x, (a.y1 + b.y0) / 2, words)
    up = ("3×3 conv, stride 2",)
    a, b, c = at["N3"], at["N4"], at["N5"]
    marks += arrow([(a.x1 + gap, a.y), (b.x, a.y), (b.x, b.y1 + gap)], MUTED)
    marks += beside(b.x, (b.y1 + a.y) / 2, up)
    marks += arrow([(b.x, b.y0 - gap), (b.x, c.y1 + gap)], MUTED)
    marks += beside(b.x, (b.y0 + c.y1) / 2, up)
    return marks


def arrow(points: Sequence[tuple[float, float]], color: str) -> list[Mark]:
    """A line through the points with a head at the last one, in pixels."""
    x, y = np.array(points, dtype=np.float32).T
    dx, dy = np.sign(x[-1] - x[-2]), np.sign(y[-1] - y[-2])  # lines run along x or y
    head_x = x[-1] - 6 * dx + np.array([3.5 * dy, 0, -3.5 * dy]) + np.array([0, 6 * dx, 0])
    head_y = y[-1] - 6 * dy + np.array([3.5 * dx, 0, -3.5 * dx]) + np.array([0, 6 * dy, 0])
    return [Lines(x, y, color, 1.4), Lines(head_x, head_y, color, 1.4)]


def beside(x: float, y: float, lines: Sequence[str]) -> list[Mark]:
    """Words to the left of a vertical arrow."""
    first = 7 * (len(lines) - 1)
    return [Text(x, y, line, MUTED, SMALL_PX, "right", dx=-8, dy=first - 14 * i) for i, line in enumerate(lines)]


def caption(view: CcffView) -> str:
    """One sentence saying what is seen."""
    what = "the root mean square over channels" if view.channel is None else f"channel {view.channel}"
    sizes = ", ".join(f"{node.name} {shape_text(node.shape)}" for node in view.nodes if node.name[0] == "N")
    missing = [node.name for node in view.nodes if node.values is None]
    tail = ""
    if view.channel is None and view.nodes[0].values is not None and np.ptp(view.nodes[0].values) < 0.05:
        tail = (
            " AIFI ends with a layer norm, so every cell of P5 has nearly the same magnitude; a single channel differs."
        )
    tail += f" The values of {' and '.join(missing)} were not kept in this trace." if missing else ""
    return f"Each map shows {what}; {sizes} (framed in the colour of their level) go on to query selection.{tail}"


def alt_text(view: CcffView) -> str:
    """The figure in words."""
    return (
        "A graph of feature maps. Top-down: P5 after AIFI becomes T5, which is doubled and joined with P4 to F4; a 1×1 "
        "convolution makes T4 of it, which is doubled and joined with P3 to N3. Bottom-up: N3 is halved and joined "
        f"with T4 to N4, which is halved and joined with T5 to N5. {caption(view)}"
    )


def table(view: CcffView) -> dict[str, list]:
    """The maps in numbers; values that were not kept are None."""
    kept = [node.values for node in view.nodes]
    return {
        "map": [node.name for node in view.nodes],
        "site": [node.site for node in view.nodes],
        "shape": [shape_text(node.shape) for node in view.nodes],
        "lowest": [None if values is None else float(values.min()) for values in kept],
        "mean": [None if values is None else float(values.mean()) for values in kept],
        "highest": [None if values is None else float(values.max()) for values in kept],
        "what it is": [node.doc for node in view.nodes],
    }

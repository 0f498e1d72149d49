"""Draw a `Drawing` with matplotlib, for export. It is imported with the first figure: that takes half a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtdetr_explained.drawing.colors import Palette, Theme, halo_color, palette
from rtdetr_explained.drawing.fonts import USUAL, fonts_for, without_missing
from rtdetr_explained.drawing.marks import (
    FONT_PX,
    SMALL_PX,
    Axis,
    Bars,
    Drawing,
    Heat,
    Hits,
    Lines,
    Mark,
    Panel,
    Photo,
    Points,
    Text,
    in_theme,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PT_PER_PX = 0.72  # the figure has 100 pixels per inch, a point is 1/72 inch
SHAPES = {"circle": "o", "square": "s", "diamond": "D", "cross": "X"}
DASHES: dict[str, Any] = {"solid": "-", "dot": (0, (1, 1.6)), "dash": (0, (4, 2.4))}


def to_matplotlib(drawing: Drawing, theme: Theme) -> Figure:
    """The drawing as a matplotlib figure in the "light" or "dark" theme."""
    from matplotlib.figure import Figure  # takes half a second, and only exports need it

    size = (drawing.width / 100, drawing.height / 100)
    figure = Figure(figsize=size, dpi=100, facecolor=palette(theme).background)
    for panel in drawing.panels:
        add_panel(figure, panel, drawing.height, palette(theme))
    use_fonts(figure)
    return figure


def use_fonts(figure: Figure) -> None:
    """Let every text of a figure find its letters, names of classes in any script included; none is a formula."""
    from matplotlib.text import Text as Words

    words = [text for text in figure.findobj(Words) if isinstance(text, Words) and text.get_text()]
    fonts = fonts_for(text.get_text() for text in words)
    for text in words:
        text.set_parse_math(False)
        if fonts.families:
            text.set_fontfamily([USUAL, *fonts.families])
        text.set_text(without_missing(text.get_text(), fonts.missing))
    if fonts.missing:  # axes set the texts of their ticks again when they are drawn
        for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
            labels = [without_missing(label.get_text(), fonts.missing) for label in axis.get_ticklabels()]
            axis.set_ticks(axis.get_ticklocs(), labels)


def add_panel(figure: Figure, panel: Panel, height: int, colors: Palette) -> None:
    """Add one pair of axes with everything in them."""
    x0, y0, x1, y1 = panel.within(height)
    axes = figure.add_axes((x0, y0, x1 - x0, y1 - y0), facecolor="none")
    for spine in axes.spines.values():
        spine.set(visible=panel.framed, color=colors.line, linewidth=0.8)
    axes.tick_params(length=0, labelsize=SMALL_PX * PT_PER_PX, labelcolor=colors.muted, pad=3)
    for mark in panel.marks:
        add_mark(axes, in_theme(mark, colors.theme))
    axes.set(xlim=panel.x.range, ylim=panel.y.range, aspect=panel.ratio or "auto", anchor="NW")
    style_axis(axes, "x", panel.x, colors)
    style_axis(axes, "y", panel.y, colors)
    for text, shift, size, weight, color in (
        (panel.title, 19 if panel.subtitle else 4, FONT_PX, "bold", colors.text),
        (panel.subtitle, 4, SMALL_PX, "normal", colors.muted),
    ):
        axes.annotate(
            text, (0, 1), (0, shift * PT_PER_PX), xycoords="axes fraction", textcoords="offset points",
            ha="left", va="bottom", fontsize=size * PT_PER_PX, fontweight=weight, color=color, linespacing=1.25,
        )  # fmt: skip


def style_axis(axes: Axes, name: str, axis: Axis, colors: Palette) -> None:
    """Ticks, labels, title and grid of the "x" or "y" axis."""
    target = axes.xaxis if name == "x" else axes.yaxis
    if axis.ticks is not None:
        labels = axis.labels if axis.labels is not None else [f"{tick:g}" for tick in axis.ticks]
        target.set_ticks(list(axis.ticks), list(labels) if len(axis.ticks) else None)
    target.set_label_text(axis.title, fontsize=SMALL_PX * PT_PER_PX, color=colors.muted)
    target.labelpad = 3
    if axis.opposite:
        axes.yaxis.tick_right()
        axes.yaxis.set_label_position("right")
    if axis.grid:
        axes.grid(axis="x" if name == "x" else "y", color=colors.line, linewidth=0.6)
        axes.set_axisbelow(True)


def add_mark(axes: Axes, mark: Mark) -> None:
    """Add one mark to the axes; marks lie on each other in the order in which they are added."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patheffects import withStroke

    layer = 2 + 0.01 * len(axes.get_children())
    if isinstance(mark, Photo):
        x0, y0, x1, y1 = mark.extent
        axes.imshow(np.asarray(mark.image), extent=(x0, x1, y1, y0), interpolation="antialiased", zorder=0)
    elif isinstance(mark, Heat):
        x0, y0, x1, y1 = mark.extent
        axes.imshow(
            mark.values, extent=(x0, x1, y1, y0), interpolation="nearest", vmin=mark.low, vmax=mark.high, zorder=1,
            cmap=LinearSegmentedColormap.from_list("heat", list(mark.scale)),
        )  # fmt: skip
    elif isinstance(mark, Lines):
        width = mark.width * PT_PER_PX
        halo = (
            [withStroke(linewidth=width + 1.4, foreground=halo_color(mark.color), alpha=0.6 * mark.alpha)]
            if mark.halo
            else []
        )
        axes.plot(
            mark.x, mark.y, color=mark.color, linewidth=width, linestyle=DASHES[mark.dash], alpha=mark.alpha,
            path_effects=halo, zorder=layer, label=mark.name,
        )  # fmt: skip
    elif isinstance(mark, Points):
        edge = mark.edge or mark.color
        axes.scatter(
            mark.x, mark.y, s=(np.asarray(mark.size) * PT_PER_PX) ** 2, marker=SHAPES[mark.shape], alpha=mark.alpha,
            facecolors="none" if mark.open else mark.color, edgecolors=edge, zorder=layer, label=mark.name,
            linewidths=1.1 if mark.open else (0.7 if mark.edge else 0),
        )  # fmt: skip
    elif isinstance(mark, Hits):
        return  # on the screen only
    elif isinstance(mark, Bars):
        axes.barh(
            mark.y, mark.width, left=mark.left, height=mark.height, color=mark.color, zorder=layer, label=mark.name
        )
    else:
        add_text(axes, mark, layer)


def add_text(axes: Axes, mark: Text, layer: float) -> None:
    """Words, with a thin line to their place when they have a leader."""
    axes.annotate(
        mark.text,
        (mark.x, mark.y),
        (mark.dx * PT_PER_PX, mark.dy * PT_PER_PX),
        textcoords="offset points",
        fontsize=mark.size * PT_PER_PX,
        fontweight="bold" if mark.bold else "normal",
        color=mark.color,
        ha=mark.align,
        va={"middle": "center"}.get(mark.valign, mark.valign),
        bbox={"boxstyle": "square,pad=0.15", "fc": mark.box, "ec": "none", "alpha": 0.85} if mark.box else None,
        arrowprops={"arrowstyle": "-", "color": mark.color, "linewidth": 0.7} if mark.leader else None,
        zorder=layer + 1,
    )

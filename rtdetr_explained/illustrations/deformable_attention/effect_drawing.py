"""The figure of what taking something away does: weight, score and box beside each other, one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_COLORS, LEVEL_NAMES, SELECTED, Palette, Theme, palette
from rtdetr_explained.drawing.marks import Axis, Bars, Drawing, Lines, Mark, Panel, Text

if TYPE_CHECKING:
    from rtdetr_explained.illustrations.deformable_attention.effect import Effects

WIDTH, ROW_PX, HEAD_PX, FOOT_PX = 540, 21, 50, 8


def drawing(effects: Effects, theme: Theme) -> Drawing:
    """Three panels with the same rows."""
    colors, n = palette(theme), len(effects.names)
    height = HEAD_PX + ROW_PX * n + FOOT_PX
    scores = np.array([change.score for change in effects.changes])
    lost = np.array([1 - change.iou for change in effects.changes])
    moved = [f"{change.moved_px:.1f} px" for change in effects.changes]
    shared = {"effects": effects, "colors": colors, "height": height}
    return Drawing(
        [
            panel("Weight taken", "share of the query's", effects.weight, (0.13, 0.36), None, **shared),
            panel("Change of score", "of the class it had", scores, (0.43, 0.68), None, **shared),
            panel("Box", "1 − IoU · centre moved", lost, (0.73, 0.99), moved, **shared),
        ],
        width=WIDTH,
        height=height,
    )


def panel(
    title: str,
    subtitle: str,
    values: np.ndarray,
    sides: tuple[float, float],
    words: list[str] | None,
    *,
    effects: Effects,
    colors: Palette,
    height: int,
) -> Panel:
    """One measure as bars; `words` follow the number of each bar."""
    n, signed = len(values), bool((values < 0).any())
    # A tenth of the whole at least, so that nothing looks like much.
    reach = max(float(np.abs(values).max()), 0.1)
    rows = np.arange(n)
    marks: list[Mark] = []
    for color in dict.fromkeys(color_of(name, colors) for name in effects.names):
        at = np.array([i for i, name in enumerate(effects.names) if color_of(name, colors) == color])
        hover = [f"without {effects.names[i]}<br>{title.lower()}: <b>{values[i]:+.3f}</b>" for i in at]
        marks.append(Bars(rows[at], values[at], color, height=0.68, hover=hover, name=f"{title} {color}"))
    marks.append(Lines(np.zeros(2), np.array([-0.5, n - 0.5]), colors.muted, 1, name=f"{title} zero"))
    for i, value in enumerate(values):
        form = "+.2f" if title == "Change of score" and abs(value) >= 0.005 else ".2f"
        word = format(round(float(value), 2) + 0.0, form).replace("-", "−") + (f" · {words[i]}" if words else "")
        # Beside the bar, on the side where there is room.
        marks.append(Text(max(float(value), 0.0), i, word, colors.text, dx=4))
    room = 1.9 if words else 1.0
    return Panel(
        (sides[0], HEAD_PX, sides[1], height - FOOT_PX),
        Axis((-1.08 * reach if signed else 0, (1.05 + room) * reach), ticks=()),
        Axis(
            (n - 0.4, -0.6),
            "",
            rows.tolist() if title == "Weight taken" else (),
            [f"{name}  " for name in effects.names],
        ),
        marks,
        title=title,
        subtitle=subtitle,
    )


def color_of(name: str, colors: Palette) -> str:
    """Levels have their own colour, the heaviest points that of the selected query."""
    if name in LEVEL_NAMES:
        return LEVEL_COLORS[LEVEL_NAMES.index(name)]
    return SELECTED if name == "heaviest" else colors.grey

"""Checks of figures made of marks: what one renderer draws under a name, the other draws too."""

from __future__ import annotations

from typing import Any

import numpy as np
from figure_checks import check_twins
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

Drawn = dict[tuple[str, str], np.ndarray]  # (kind, name) -> numbers, two columns


def columns(x: Any, y: Any) -> np.ndarray:
    """Two columns of numbers."""
    return np.stack([np.asarray(x, float), np.asarray(y, float)], axis=1)


def plotly_marks(figure: Any) -> Drawn:
    """The numbers of all named points, lines and bars."""
    drawn: Drawn = {}
    for trace in figure.data:
        if trace.name and trace.type == "bar":
            drawn["bars", trace.name] = columns(trace.base, trace.x)
        elif trace.name:
            drawn[trace.mode, trace.name] = columns(trace.x, trace.y)
    return drawn


def mpl_marks(figure: Figure) -> Drawn:
    """The same from matplotlib."""
    drawn: Drawn = {}
    for axes in figure.axes:
        for points in axes.collections:
            assert isinstance(points, PathCollection)
            drawn["markers", str(points.get_label())] = np.asarray(points.get_offsets())
        for line in axes.lines:
            drawn["lines", str(line.get_label())] = np.asarray(line.get_xydata())
        for bars in axes.containers:
            assert isinstance(bars, BarContainer)
            shapes = [patch for patch in bars.patches if isinstance(patch, Rectangle)]
            drawn["bars", str(bars.get_label())] = columns([p.get_x() for p in shapes], [p.get_width() for p in shapes])
    return drawn


def check_marks(module: Any, view: Any) -> Drawn:
    """Both renderers draw the same maps, words, points, lines and bars; returns them by kind and name."""
    check_twins(module, view)
    drawn = plotly_marks(module.plotly_figure(view, "light"))
    exported = mpl_marks(module.matplotlib_figure(view, "light"))
    only_one = drawn.keys() ^ exported.keys()
    assert not only_one, f"only one of the figures has {only_one}"
    for key, numbers in drawn.items():
        np.testing.assert_allclose(numbers, exported[key], rtol=1e-6, err_msg=str(key))
    return drawn


def plain(theme: str, module: Any, view: Any) -> str:
    """All words of the interactive figure, in one piece."""
    return " | ".join(note.text for note in module.plotly_figure(view, theme).layout.annotations)

"""Checks that hold for every illustration: both renderers draw the same numbers, and figures stay small."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from rtdetr_explained.drawing.colors import palette

THEMES = ("light", "dark")
MAX_BYTES = 1_000_000


def plotly_traces(figure: go.Figure, kind: str) -> list[Any]:
    """All traces of a kind, in the order in which they are drawn."""
    traces: Any = figure.data
    return [trace for trace in traces if trace.type == kind]


def plotly_maps(figure: go.Figure) -> list[np.ndarray]:
    """The numbers of all heat maps."""
    return [np.asarray(trace.z, np.float32) for trace in plotly_traces(figure, "heatmap")]


def mpl_maps(figure: Figure) -> list[np.ndarray]:
    """The same from matplotlib; pictures with colour channels are photos."""
    images = [image.get_array() for axes in figure.axes for image in axes.images]
    return [np.asarray(image, np.float32) for image in images if image is not None and image.ndim == 2]


def mpl_words(figure: Figure) -> set[str]:
    """All words drawn."""
    return {text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()}


def plotly_words(figure: go.Figure) -> set[str]:
    """All words drawn, without their markup."""
    layout: Any = figure.layout
    return {note.text.replace("<b>", "").replace("</b>", "").replace("<br>", "\n") for note in layout.annotations}


def plotly_trace(figure: go.Figure, name: str) -> Any:
    """The trace of that name."""
    traces: Any = figure.data
    return next(trace for trace in traces if trace.name == name)


def check_twins(module: Any, view: Any) -> None:
    """Interactive and exported figure of a view show the same maps and words in both themes, within the size limit."""
    for theme in THEMES:
        interactive: Any = module.plotly_figure(view, theme)
        exported: Figure = module.matplotlib_figure(view, theme)
        ours, theirs = plotly_maps(interactive), mpl_maps(exported)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
        assert plotly_words(interactive) == mpl_words(exported)
        assert len(interactive.to_json()) < MAX_BYTES
        assert all(len(image.source) < 250_000 for image in interactive.layout.images)
        assert interactive.layout.paper_bgcolor == palette(theme).background
        assert to_hex(exported.get_facecolor()).upper() == palette(theme).background

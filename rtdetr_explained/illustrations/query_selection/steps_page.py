"""The figure below the score maps of the page: the same view, without the maps that the page draws by itself."""

from __future__ import annotations

import plotly.graph_objects as go

from rtdetr_explained.drawing.colors import Theme
from rtdetr_explained.drawing.marks import Drawing
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.illustrations.query_selection.steps import STEPS_HEIGHT, steps
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView, caption, matplotlib_figure, table

__all__ = ["alt_text", "caption", "matplotlib_figure", "plotly_figure", "table"]


def plotly_figure(view: QuerySelectionView, theme: Theme) -> go.Figure:
    """The interactive figure; the exported one, `matplotlib_figure`, has the maps, too."""
    return to_plotly(Drawing(steps(view, theme, STEPS_HEIGHT), height=STEPS_HEIGHT), theme)


def alt_text(view: QuerySelectionView) -> str:
    """The figure in words."""
    return (
        f"The share of each level and class among the {view.kept} chosen cells, the curve of all scores in order with "
        f"the cut at {view.cutoff:.2g}, and on the photo the cell, the anchor and the first box of query {view.query}, "
        "with the numbers between them. "
    ) + caption(view)

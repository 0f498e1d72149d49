"""Query selection: which cells of the three maps become queries, and how a cell becomes a first box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from PIL import Image

from rtdetr_explained.illustrations.colors import LEVEL_NAMES
from rtdetr_explained.illustrations.marks_matplotlib import draw_matplotlib
from rtdetr_explained.illustrations.marks_plotly import draw_plotly
from rtdetr_explained.illustrations.query_selection_drawing import drawing
from rtdetr_explained.tracing.trace import Trace, sigmoid

SENTENCE = (
    "Every cell of the three maps says how likely it holds an object; the best cells become queries, and each starts "
    "from the fixed box of its cell, its anchor, moved by a predicted offset."
)
MISREAD = (
    "The rule is simply the highest class score. “Uncertainty-minimal” names how the score was trained: to be high "
    "only where the box is good too."
)


@dataclass(frozen=True)
class QuerySelectionView:
    """What the figure shows. Scores are probabilities; boxes are cxcywh in 0..1 of the image, on four axes.

    `level_scores[l]` (h, w) holds the best class probability of each cell and `chosen[l]` (n, 3) the query, row and
    column of each chosen cell. `sorted_scores` (N,) are all scores from the best down, `sorted_levels` (N,) their
    levels; the first `kept` of them are chosen and the last of these has the score `cutoff`. `offset` is derived:
    logit(first box) − logit(anchor), not a number where the anchor is not valid.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    level_scores: tuple[np.ndarray, ...]
    chosen: tuple[np.ndarray, ...]
    sorted_scores: np.ndarray
    sorted_levels: np.ndarray
    kept: int
    num_queries: int
    cutoff: float
    query: int
    level: int
    row: int
    col: int
    score: float
    rank: int
    class_name: str
    anchor: np.ndarray
    anchor_logit: np.ndarray
    offset: np.ndarray
    box_logit: np.ndarray
    box: np.ndarray

    @property
    def share(self) -> tuple[float, ...]:
        """Share of each level among the chosen cells."""
        return tuple(np.mean(self.sorted_levels[: self.kept] == level).item() for level in range(len(self.chosen)))


def view(trace: Trace, query: int = 0) -> QuerySelectionView:
    """What query selection did in this trace, with the way of one query from its cell to its first box.

    Raises InputError when there is no such query.
    """
    place = trace.query(query)
    token_scores = sigmoid(trace["query_selection.scores"].array)  # N
    tokens = trace.token_indices  # Q
    sizes = [h * w for h, w in trace.map_sizes]
    starts = np.cumsum([0, *sizes])
    levels = np.repeat(np.arange(len(sizes)), sizes)  # N
    chosen = []
    for level, (_, w) in enumerate(trace.map_sizes):
        queries = np.nonzero(levels[tokens] == level)[0]
        cells = tokens[queries] - starts[level]
        chosen.append(np.stack([queries, cells // w, cells % w], axis=1))
    order = np.argsort(-token_scores, kind="stable")
    kept = len(np.unique(tokens))  # fewer than queries when a cell was chosen for several classes
    anchor_logit = trace["query_selection.anchors"].array[place.token]
    box = place.reference_boxes[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        box_logit = np.log(box.astype(float) / (1 - box.astype(float)))
        offset = box_logit - anchor_logit
    return QuerySelectionView(
        photo=trace.photo,
        image_size=trace.image_size,
        level_scores=tuple(
            token_scores[a:b].reshape(size) for a, b, size in zip(starts, starts[1:], trace.map_sizes, strict=False)
        ),
        chosen=tuple(chosen),
        sorted_scores=token_scores[order],
        sorted_levels=levels[order],
        kept=kept,
        num_queries=len(tokens),
        cutoff=float(token_scores[tokens].min()),
        query=query,
        level=place.level,
        row=place.row,
        col=place.col,
        score=float(token_scores[place.token]),
        rank=int((token_scores > token_scores[place.token]).sum()) + 1,
        class_name=first_class(trace, place.token),
        anchor=place.anchor,
        anchor_logit=anchor_logit,
        offset=offset,
        box_logit=box_logit,
        box=box,
    )


def first_class(trace: Trace, token: int) -> str:
    """Name of the class the token scores best in; a head without classes only knows "object"."""
    logits = trace["query_selection.class_logits"].array[token]
    return trace.class_names[int(logits.argmax())] if len(logits) == len(trace.class_names) else "object"


def plotly_figure(view: QuerySelectionView, theme: str) -> go.Figure:
    """The interactive figure."""
    return draw_plotly(drawing(view, theme), theme)


def matplotlib_figure(view: QuerySelectionView, theme: str) -> Figure:
    """The figure for export."""
    return draw_matplotlib(drawing(view, theme), theme)


def caption(view: QuerySelectionView) -> str:
    """One sentence saying what is seen."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in zip(LEVEL_NAMES, view.share, strict=True))
    return (
        f"The best {view.kept:,} of {len(view.sorted_scores):,} cells are kept, down to a score of {view.cutoff:.2g} "
        f"({shares}); query {view.query} comes from {LEVEL_NAMES[view.level]}, row {view.row}, column {view.col}, and "
        f"takes “{view.class_name}” for its best class with {view.score:.2f}."
    )


def alt_text(view: QuerySelectionView) -> str:
    """The figure in words."""
    return (
        "Score maps of the levels S3, S4 and S5 with the chosen cells marked, the share of each level, the curve of "
        f"all scores in order with the cut at {view.cutoff:.2g}, and on the photo the cell, the anchor and the first "
        f"box of query {view.query}. " + caption(view)
    )


def table(view: QuerySelectionView) -> dict[str, list]:
    """All chosen cells, in the order of the queries."""
    rows = sorted(
        (int(q), LEVEL_NAMES[level], int(r), int(c), float(view.level_scores[level][r, c]))
        for level, cells in enumerate(view.chosen)
        for q, r, c in cells
    )
    columns = [list(column) for column in zip(*rows, strict=True)]
    return dict(zip(("query", "level", "row", "column", "score"), columns, strict=True))

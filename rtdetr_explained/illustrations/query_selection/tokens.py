"""What query selection ranks: every token of a trace with its score, its rank, its anchor and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.trace import Trace, sigmoid

NEAR_SHARE = 0.25  # as many near misses are marked, in parts of the chosen cells
LOWEST = 1e-4  # scores below it look alike
CLEAR = 0.5  # share of the cells, those with the lowest scores, through which the photo is seen unchanged


@dataclass(frozen=True, eq=False)
class Tokens:
    """All N tokens in the order of the memory: S3 row by row, then S4, then S5.

    `scores` are those of the best class, 0..1, and `labels` these classes, -1 where the head only knows "object".
    `ranks` count from 1, the best; `order` holds the tokens from the best down, chosen ones first among equals.
    `queries` is the first query of each token and -1 where there is none, `times` how many queries it gives.
    `near` marks the best of those that were not chosen.
    """

    map_sizes: tuple[tuple[int, int], ...]
    class_names: tuple[str, ...]
    scores: np.ndarray
    labels: np.ndarray
    ranks: np.ndarray
    order: np.ndarray
    valid: np.ndarray
    levels: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    queries: np.ndarray
    times: np.ndarray
    near: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        """Which tokens gave at least one query (N,)."""
        return self.times > 0

    @property
    def kept(self) -> int:
        """Number of chosen tokens; fewer than queries when a token was chosen for several classes."""
        return int(self.chosen.sum())

    @property
    def cutoff(self) -> float:
        """The lowest score that was chosen."""
        return float(self.scores[self.chosen].min())

    def class_name(self, token: int) -> str:
        """Name of the class the token scores best in."""
        label = int(self.labels[token])
        return self.class_names[label] if label >= 0 else "object"

    def place(self, token: int) -> str:
        """Where a token lies, in words."""
        return f"{LEVEL_NAMES[self.levels[token]]}, row {self.rows[token]}, column {self.cols[token]}"

    def short_place(self, token: int) -> str:
        """Level, row and column, for narrow tables."""
        return f"{LEVEL_NAMES[self.levels[token]]} ({self.rows[token]}, {self.cols[token]})"

    def fate(self, token: int) -> str:
        """What became of a token, in a few words."""
        if self.times[token]:
            more = f" and {self.times[token] - 1} more" if self.times[token] > 1 else ""
            text = f"query {self.queries[token]}{more}"
        elif self.near[token]:
            text = f"near miss, {self.ranks[token] - self.kept} below the cut"
        else:
            text = "discarded"
        return text if self.valid[token] else f"{text}, anchor not valid"

    def centre(self, token: int | np.ndarray) -> np.ndarray:
        """Centres of cells in 0..1 of the image, (..., 2) as x, y."""
        h, w = np.array(self.map_sizes)[self.levels[token]].T
        return np.stack([(self.cols[token] + 0.5) / w, (self.rows[token] + 0.5) / h], axis=-1)


def tokens(trace: Trace) -> Tokens:
    """The tokens of a trace."""
    sizes = [h * w for h, w in trace.map_sizes]
    levels = np.repeat(np.arange(len(sizes)), sizes)  # N
    within = np.concatenate([np.arange(size) for size in sizes])  # N, counted inside each map
    widths = np.array([w for _, w in trace.map_sizes])[levels]  # N
    logits = trace["query_selection.scores"].array
    times = np.bincount(trace.token_indices, minlength=len(logits))
    queries = np.full(len(logits), -1)
    queries[trace.token_indices[::-1]] = np.arange(len(trace.token_indices))[::-1]  # the first of several stays
    order = np.lexsort((np.arange(len(logits)), times == 0, -logits))
    ranks = np.empty(len(logits), int)
    ranks[order] = np.arange(1, len(logits) + 1)
    missed = order[times[order] == 0]
    near = np.zeros(len(logits), bool)
    near[missed[: max(1, round(NEAR_SHARE * int((times > 0).sum())))]] = True
    class_logits = trace["query_selection.class_logits"].array  # N C
    knows_classes = class_logits.shape[1] == len(trace.class_names)
    return Tokens(
        map_sizes=tuple(trace.map_sizes),
        class_names=trace.class_names,
        scores=sigmoid(logits),
        labels=class_logits.argmax(1) if knows_classes else np.full(len(logits), -1),
        ranks=ranks,
        order=order,
        valid=trace["query_selection.valid_mask"].array,
        levels=levels,
        rows=within // widths,
        cols=within % widths,
        queries=queries,
        times=times,
        near=near,
    )


def token_at(map_sizes: tuple[tuple[int, int], ...], level: int, x: float, y: float) -> int:
    """The token of a level whose cell lies under a place in 0..1 of the image; raises InputError outside of it."""
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise InputError(f"The place {x:g}, {y:g} is not on the image; both numbers go from 0 to 1.")
    h, w = map_sizes[level]
    start = sum(rows * columns for rows, columns in map_sizes[:level])
    return start + min(int(y * h), h - 1) * w + min(int(x * w), w - 1)


def score_range(scores: np.ndarray, share: float = 0) -> tuple[float, float]:
    """log10 of the lowest score that is told apart, leaving out this share of all, and of the highest."""
    low, high = np.quantile(scores, (share, 1))
    return math.log10(max(LOWEST, low)), math.log10(max(2 * LOWEST, high))


def log_scores(scores: np.ndarray) -> np.ndarray:
    """log10 of scores, so that the cut between weak scores can be seen."""
    return np.log10(np.maximum(scores, LOWEST))


def log_ticks(low: float, high: float) -> list[float]:
    """Exponents of round numbers between two exponents: powers of ten, and what lies between where they are few."""
    ticks: list[float] = []
    for parts in ((1,), (1, 3), (1, 2, 5)):
        ticks = [k + math.log10(s) for k in range(math.floor(low), math.ceil(high) + 1) for s in parts]
        ticks = [t for t in ticks if low <= t <= high]
        if len(ticks) > 2:
            return ticks
    return ticks if len(ticks) > 1 else [low, high]


def apart(one: float, other: float) -> tuple[str, str]:
    """Two scores with just as many digits, from two on, as they need to be told apart."""
    digits = 2
    while f"{one:.{digits}g}" == f"{other:.{digits}g}" and one != other and digits < 7:
        digits += 1
    return f"{one:.{digits}g}", f"{other:.{digits}g}"


def ordinal(n: int) -> str:
    """1 as "1st", 12 as "12th", 8400 as "8,400th"."""
    ending = "th" if n // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"

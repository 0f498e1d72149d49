"""A place in the photo, asked: which query stands there, or why none does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.illustrations.query_selection.tokens import apart, ordinal, token_at, tokens
from rtdetr_explained.tracing.choice import Choice, Unit
from rtdetr_explained.tracing.trace import sigmoid

COVERING = 3  # queries that are listed


@dataclass(frozen=True)
class CellReport:
    """The cell of one level under the place; `anchor` is cxcywh in 0..1, all ones where it is not valid.

    `queries` are those that came from this cell: none where it was not chosen, several with "one2many".
    """

    level: int
    row: int
    col: int
    token: int
    score: float
    class_name: str
    rank: int
    valid: bool
    anchor: tuple[float, float, float, float]
    queries: tuple[int, ...]

    @property
    def where(self) -> str:
        """Level, row and column in words."""
        return f"{LEVEL_NAMES[self.level]}, row {self.row}, column {self.col}"


@dataclass(frozen=True)
class QueryReport:
    """A query near the place or covering it, with its final class and score; `away` is how far its cell's centre is."""

    query: int
    where: str
    cell: str
    class_name: str
    score: float
    away: float
    covers: bool


@dataclass(frozen=True)
class PlaceReport:
    """What stands at a place (x, y in 0..1 of the image): the cells of S3, S4 and S5 and the queries around.

    `covering` are the best of the `num_covering` queries whose final box holds the place, best score first. Lengths are
    in pixels of the photo where `unit` is "px", else in 0..1 of its width and height.
    """

    place: tuple[float, float]
    place_px: tuple[float, float]
    cells: tuple[CellReport, ...]
    total: int
    kept: int
    cutoff: float
    nearest: QueryReport
    covering: tuple[QueryReport, ...]
    num_covering: int
    unit: Unit

    @property
    def best(self) -> CellReport:
        """The cell with the best rank."""
        return min(self.cells, key=lambda cell: cell.rank)

    @property
    def queries(self) -> tuple[int, ...]:
        """All queries that stand here."""
        return tuple(sorted(query for cell in self.cells for query in cell.queries))


def place_report(choice: Choice, x: float, y: float) -> PlaceReport:
    """The report of a place in 0..1 of the image. Raises InputError for a place outside of it."""
    trace, unit = choice.trace, choice.unit
    every = tokens(trace)
    width, height = trace.image_size
    cells = []
    for level in range(len(trace.map_sizes)):
        token = token_at(every.map_sizes, level, x, y)
        cells.append(
            CellReport(
                level=level,
                row=int(every.rows[token]),
                col=int(every.cols[token]),
                token=token,
                score=float(every.scores[token]),
                class_name=every.class_name(token),
                rank=int(every.ranks[token]),
                valid=bool(every.valid[token]),
                anchor=tuple(sigmoid(trace["query_selection.anchors"].array[token]).tolist()),
                queries=tuple(np.flatnonzero(trace.token_indices == token).tolist()),
            )
        )
    centres = every.centre(trace.token_indices)  # Q 2
    apart_px = np.linalg.norm((centres - (x, y)) * (width, height), axis=1)
    away = apart_px if unit == "px" else np.linalg.norm(centres - (x, y), axis=1)
    covers = np.all(np.abs(trace.boxes[:, :2] - (x, y)) <= trace.boxes[:, 2:] / 2, axis=1)

    def report(query: int) -> QueryReport:
        return QueryReport(
            query=query,
            where=every.place(int(trace.token_indices[query])),
            cell=every.short_place(int(trace.token_indices[query])),
            class_name=trace.class_names[trace.labels[query]],
            score=float(trace.scores[query]),
            away=float(away[query]),
            covers=bool(covers[query]),
        )

    around = np.flatnonzero(covers)
    around = around[np.argsort(-trace.scores[around], kind="stable")]
    return PlaceReport(
        place=(x, y),
        place_px=(x * width, y * height),
        cells=tuple(cells),
        total=len(every.scores),
        kept=every.kept,
        cutoff=every.cutoff,
        nearest=report(int(apart_px.argmin())),
        covering=tuple(report(int(query)) for query in around[:COVERING]),
        num_covering=len(around),
        unit=unit,
    )


def answer(report: PlaceReport) -> str:
    """One or two sentences: which query stands at the place, or why none does."""
    best = report.best
    score, cutoff = apart(best.score, report.cutoff)
    ranks = f"ranks {ordinal(best.rank)} of {report.total:,} with {score} for “{best.class_name}”"
    if not report.queries:
        text = f"No query stands here: the best of the three cells ({best.where}) {ranks}; the cut-off is {cutoff}."
    else:
        named, verb = listed(report.queries)
        levels = [LEVEL_NAMES[cell.level] for cell in report.cells if cell.queries]
        text = f"{named} {verb} here, from {' and '.join(levels)}: the best of the three cells ({best.where}) {ranks}; "
        text += f"the cut-off is {cutoff}."
    return text + masked(report)


def masked(report: PlaceReport) -> str:
    """A sentence on cells that never had a chance, or nothing."""
    names = [LEVEL_NAMES[cell.level] for cell in report.cells if not cell.valid]
    if not names:
        return ""
    return (
        f" The cell of {' and '.join(names)} lies too close to the border for a valid anchor: it is scored without its "
        "features, so its score says nothing about the image."
    )


def around(report: PlaceReport) -> str:
    """One sentence on the queries that do not stand at the place but are near or hold it in their final box."""
    near = report.nearest
    if report.queries:
        text = ""
    else:
        holds = "holds" if near.covers else "does not hold"
        away = f"{near.away:.0f} px" if report.unit == "px" else f"{near.away:.3f} of the image"
        text = f"The nearest is query {near.query} ({near.where}), {away} away; its final box {holds} this place. "
    if not report.covering:
        return text + "No final box holds this place."
    first = report.covering[0]
    named = f"query {first.query}, “{first.class_name}” {first.score:.2f}"
    if report.num_covering == 1:
        return f"{text}One final box holds this place; it is that of {named}."
    listed = f" The best {COVERING} of the {report.num_covering} are listed." if report.num_covering > COVERING else ""
    return f"{text}The final boxes of {report.num_covering} queries hold this place; the best is {named}.{listed}"


def with_other_cut(report: PlaceReport, kept: int, cutoff: float) -> str:
    """One sentence on the same place when another number of cells is kept."""
    best = report.best
    before, after = best.rank <= report.kept, best.rank <= kept
    verdict = {
        (True, True): "still makes it",
        (True, False): "no longer makes it",
        (False, True): "now makes it",
        (False, False): "still does not make it",
    }[before, after]
    return f"In the re-run the cut-off is {apart(cutoff, best.score)[0]}, at rank {kept:,}: the best cell {verdict}."


def listed(queries: tuple[int, ...]) -> tuple[str, str]:
    """Queries by name, with the verb "stands" or "stand"; of many only the first."""
    names = [str(query) for query in queries]
    if len(names) == 1:
        return f"Query {names[0]}", "stands"
    if len(names) > 4:
        names[3:] = [f"{len(names) - 3} more"]
    return f"Queries {', '.join(names[:-1])} and {names[-1]}", "stand"


def queries_table(report: PlaceReport) -> dict[str, list]:
    """The nearest query and the best of those whose final box holds the place."""
    rows = [report.nearest, *(row for row in report.covering if row.query != report.nearest.query)]
    return {
        "query": [row.query for row in rows],
        "ends as": [f"{row.class_name} {row.score:.2f}" for row in rows],
        "away": [row.away for row in rows],
        "holds": [row.covers for row in rows],
        "cell": [row.cell for row in rows],
    }

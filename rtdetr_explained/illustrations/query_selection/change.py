"""Two runs of query selection compared: cells gained and lost, and what that does to the detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtdetr_explained.boxes import iou
from rtdetr_explained.illustrations.query_selection.tokens import tokens
from rtdetr_explained.tracing.choice import Choice
from rtdetr_explained.tracing.trace import Detection, Trace

AGAIN = ("query_selection", "decoder", "deformable_attention")  # the stages that run again
SAME_OBJECT = 0.5  # IoU from which two boxes of one class are the same object
METHOD_WORDS = {"default": "best class", "agnostic": "best class", "one2many": "cell and class"}
SEEN_SCORE, SEEN_PX = 0.005, 0.5  # smaller changes do not show in the numbers on the page


@dataclass(frozen=True)
class DetectionChange:
    """A detection in one or both runs, matched by token and class, not by the number of the query.

    `kind` is "gained", "lost", "changed" or "same". What a run does not have is None. `moved_px` is the largest move of
    a corner. `elsewhere` tells that the run without it has the same object from another cell.
    """

    kind: str
    token: int
    where: str
    class_name: str
    query_before: int | None
    query_after: int | None
    score_before: float | None
    score_after: float | None
    moved_px: float | None
    elsewhere: bool


@dataclass(frozen=True, eq=False)
class SelectionChange:
    """What a re-run of query selection changed. `gained` and `lost` are tokens; times are milliseconds.

    `detections_before` and `detections_after` count all detections above `threshold`, also those that a cell gives
    several times over; `detections` lists each cell and class once.
    """

    queries_before: int
    queries_after: int
    method_before: str
    method_after: str
    kept_before: int
    kept_after: int
    cutoff_before: float
    cutoff_after: float
    gained: np.ndarray
    lost: np.ndarray
    threshold: float
    detections_before: int
    detections_after: int
    detections: tuple[DetectionChange, ...]
    rerun_ms: float
    whole_ms: float
    spared_ms: float

    def count(self, kind: str) -> int:
        """Number of detections of a kind."""
        return sum(change.kind == kind for change in self.detections)


def selection_change(choice: Choice, after: Trace) -> SelectionChange:
    """Compare the trace with a re-run of it from query selection on.

    The time of the whole pass is the sum of its stages, that of the re-run the sum of the stages that ran again; spared
    is what the others took in the whole pass.
    """
    before, threshold = choice.trace, choice.threshold
    old, new = tokens(before), tokens(after)
    detected_before, detected_after = before.detections(threshold), after.detections(threshold)
    return SelectionChange(
        queries_before=len(before.token_indices),
        queries_after=len(after.token_indices),
        method_before=method(before),
        method_after=method(after),
        kept_before=old.kept,
        kept_after=new.kept,
        cutoff_before=old.cutoff,
        cutoff_after=new.cutoff,
        gained=np.flatnonzero(new.chosen & ~old.chosen),
        lost=np.flatnonzero(old.chosen & ~new.chosen),
        threshold=threshold,
        detections_before=len(detected_before),
        detections_after=len(detected_after),
        detections=detection_changes(before, after, detected_before, detected_after),
        rerun_ms=sum(after.times_ms[stage] for stage in AGAIN),
        whole_ms=sum(before.times_ms.values()),
        spared_ms=sum(ms for stage, ms in before.times_ms.items() if stage not in AGAIN),
    )


def method(trace: Trace) -> str:
    """How the queries of a trace were chosen: the model's own way, or that of the last edit."""
    edits: list[dict[str, Any]] = [edit for edit in trace.meta["edits"] if edit["kind"] == "SetSelection"]
    return edits[-1]["method"] if edits else trace.meta["config"]["query_select_method"]


def detection_changes(
    before: Trace, after: Trace, detected_before: Sequence[Detection], detected_after: Sequence[Detection]
) -> tuple[DetectionChange, ...]:
    """Detections of both runs by token and class: gained, lost and changed ones first, best scores first."""
    old, new = by_token(before, detected_before), by_token(after, detected_after)
    every = tokens(before)
    changes = []
    for token, label in {**old, **new}:
        one, other = old.get((token, label)), new.get((token, label))
        moved = None
        if one and other:
            moved = float(np.abs(np.subtract(one.box_px, other.box_px)).max())
            seen = abs(one.score - other.score) >= SEEN_SCORE or moved >= SEEN_PX
            kind, elsewhere = "changed" if seen else "same", False
        elif one:
            kind, elsewhere = "lost", has_object(one, detected_after)
        else:
            assert other
            kind, elsewhere = "gained", has_object(other, detected_before)
        changes.append(
            DetectionChange(
                kind=kind,
                token=token,
                where=every.short_place(token),
                class_name=before.class_names[label],
                query_before=one.query if one else None,
                query_after=other.query if other else None,
                score_before=one.score if one else None,
                score_after=other.score if other else None,
                moved_px=moved,
                elsewhere=elsewhere,
            )
        )
    kinds = ("lost", "gained", "changed", "same")
    return tuple(sorted(changes, key=lambda c: (kinds.index(c.kind), -max(c.score_before or 0, c.score_after or 0))))


def by_token(trace: Trace, detected: Sequence[Detection]) -> dict[tuple[int, int], Detection]:
    """The best detection of each token and class."""
    best: dict[tuple[int, int], Detection] = {}
    for detection in detected:  # best first
        best.setdefault((int(trace.token_indices[detection.query]), detection.label), detection)
    return best


def has_object(detection: Detection, others: Sequence[Detection]) -> bool:
    """Whether one of the others is of the same class and on the same object."""
    boxes = np.array([other.box_px for other in others if other.label == detection.label]).reshape(-1, 4)
    return bool((iou(np.array(detection.box_px), boxes) >= SAME_OBJECT).any())


def summary(change: SelectionChange) -> str:
    """The change in two sentences."""
    settings = []
    if change.queries_after != change.queries_before:
        settings.append(f"{plural(change.queries_after, 'query', 'queries')} instead of {change.queries_before}")
    chosen_by = METHOD_WORDS[change.method_after]
    if chosen_by != METHOD_WORDS[change.method_before]:
        settings.append(f"chosen by “{chosen_by}” instead of “{METHOD_WORDS[change.method_before]}”")
    second = change.queries_after - change.kept_after
    twice = f" ({second} of the {change.queries_after} queries: a cell's second or later)" if second else ""
    shared = change.count("changed") + change.count("same")
    after = detections(change.detections_after, shared + change.count("gained"))
    before = detections(change.detections_before, shared + change.count("lost"))
    return (
        f"With {', '.join(settings) or 'the same settings'}: {plural(len(change.gained), 'cell')} gained and "
        f"{len(change.lost)} lost{twice}. Detections above {change.threshold:.2f}: {after} instead of {before}; each "
        f"cell and class once, {change.count('lost')} lost, {change.count('gained')} gained, "
        f"{change.count('changed')} changed, {change.count('same')} the same."
    )


def detections(count: int, once: int) -> str:
    """How many there are in all, and how many of them repeat the cell and class of a better one."""
    return f"{count}" if count == once else f"{count} ({count - once} of them repeated)"


def plural(count: int, noun: str, many: str = "") -> str:
    """ "1 cell", "2 cells", "2 queries"."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def table(change: SelectionChange) -> dict[str, list]:
    """All detections of both runs, those that differ first."""
    rows = change.detections
    return {
        "change": [row.kind + (", object kept" if row.elsewhere and row.kind == "lost" else "") for row in rows],
        "class": [row.class_name for row in rows],
        "score before": [row.score_before for row in rows],
        "score after": [row.score_after for row in rows],
        "box moved (px)": [row.moved_px for row in rows],
        "query before": [row.query_before for row in rows],
        "query after": [row.query_after for row in rows],
        "cell": [row.where for row in rows],
    }

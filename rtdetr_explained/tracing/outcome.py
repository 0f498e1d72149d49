"""The end of a run: all that is needed to say what an edit changed, small enough to keep for many edits."""

from dataclasses import dataclass

import numpy as np

from rtdetr_explained.tracing.trace import Trace


@dataclass(frozen=True, eq=False)
class Outcome:
    """Class logits (Q, C) and boxes (Q, 4; cxcywh in 0..1) that a run ends with."""

    logits: np.ndarray
    boxes: np.ndarray


def outcome(trace: Trace) -> Outcome:
    """The end of a run."""
    return Outcome(trace.logits, trace.boxes)

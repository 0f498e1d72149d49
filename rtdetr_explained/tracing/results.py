"""What a run is asked for beside its trace: small records that can be kept for many edits and layers."""

from dataclasses import dataclass

import numpy as np

from rtdetr_explained.tracing.trace import Trace


@dataclass(frozen=True, eq=False)
class Outcome:
    """Class logits (Q, C) and boxes (Q, 4; cxcywh in 0..1) that a run ends with: all an edit's effect is told from."""

    logits: np.ndarray
    boxes: np.ndarray


def outcome(trace: Trace) -> Outcome:
    """The end of a run."""
    return Outcome(trace.logits, trace.boxes)


@dataclass(frozen=True, eq=False)
class Reading:
    """What one layer's cross-attention read from, too large to keep for every layer of every trace.

    Next to the locations and weights of a trace it is all that is needed to compute the attention a second time.
    `value` (N, H, d) is the memory as the heads of this layer read it; `offsets` (Q, H, P, 2) are raw and exact, where
    a trace keeps them in half precision; `output` (Q, D) is what the model made of it. `projection` (D, D) and `bias`
    (D,) are the weights that join the heads: output = projection @ heads + bias.
    """

    layer: int
    value: np.ndarray
    offsets: np.ndarray
    output: np.ndarray
    projection: np.ndarray
    bias: np.ndarray

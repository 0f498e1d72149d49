"""What one layer's cross-attention read from: too large to keep for every layer of every trace, so it is run again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.edits import SetLayers
from rtdetr_explained.tracing.trace import Trace

if TYPE_CHECKING:
    from rtdetr_explained.detector import Detector


@dataclass(frozen=True, eq=False)
class Reading:
    """Next to the locations and weights of a trace, all that is needed to compute its cross-attention a second time.

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


def read_layer(detector: Detector, trace: Trace, layer: int) -> Reading:
    """Run the decoder again as far as this layer, with the edits of the trace, and keep what it read.

    Raises InputError for a trace of other weights or with denoising queries, or when the layer did not run.
    """
    if not 0 <= layer < trace.num_layers:
        raise InputError(f"There is no layer {layer}; choose one from 0 to {trace.num_layers - 1}.")
    site = f"decoder.layers.{layer}.cross_attn"
    names = ("value", "offsets", "output")
    stop = [] if trace.meta["edits"] else [SetLayers(layer + 1)]  # edits may concern later layers
    again = detector.rerun(trace, stop, sites=[f"{site}.{name}" for name in names])
    value, offsets, output = (again.values[f"{site}.{name}"] for name in names)
    weights = detector.weights_of(f"{site}.output_proj")
    return Reading(layer, value, offsets, output, weights["weight"], weights["bias"])

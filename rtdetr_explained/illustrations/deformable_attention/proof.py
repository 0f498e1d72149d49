"""The proof that the picture is the computation: the output made a second time, from nothing but the drawn points.

The model reads its maps with PyTorch; here NumPy reads them, so that both can only agree when every point lies where it
is drawn and counts as much as is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtdetr_explained.illustrations.deformable_attention.sampling import read_points
from rtdetr_explained.tracing.results import Reading
from rtdetr_explained.tracing.trace import Trace

TOLERANCE = 1e-4
"""Greatest error that counts as rounding, as a part of the greatest number in the output."""


@dataclass(frozen=True)
class Proof:
    """The greatest difference between the output rebuilt from the drawn points and the model's own, over all queries.

    `largest` is the greatest absolute number in the model's output, `num_points` how many points were read.
    """

    layer: int
    max_error: float
    largest: float
    num_points: int

    @property
    def relative(self) -> float:
        """The error as a part of the greatest number in the output."""
        return self.max_error / max(self.largest, 1e-30)

    @property
    def holds(self) -> bool:
        """Whether the error is no more than rounding."""
        return self.relative <= TOLERANCE


def prove(trace: Trace, reading: Reading) -> Proof:
    """Rebuild the output of every query of the layer, and compare."""
    site = f"decoder.layers.{reading.layer}.cross_attn"
    locations, weights = trace[f"{site}.sampling_locations"].array, trace[f"{site}.weights"].array
    error = np.abs(rebuild(trace, reading, locations, weights) - reading.output).max()
    return Proof(reading.layer, float(error), float(np.abs(reading.output).max()), weights.size)


def sentence(proof: Proof) -> str:
    """What was compared, and how far it agrees."""
    agrees = "within" if proof.holds else "beyond"
    return (
        f"The output of layer {proof.layer + 1} was computed a second time, with NumPy, from the {proof.num_points:,} "
        f"points as they are drawn. It differs from the model's own by {power(proof.max_error)} at most: "
        f"{power(proof.relative)} of the greatest output ({proof.largest:.3g}), {agrees} the {power(TOLERANCE)} that "
        "count as rounding."
    )


def power(value: float) -> str:
    """Two significant digits and a power of ten, such as 4.7 × 10⁻⁷."""
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits} × 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def rebuild(trace: Trace, reading: Reading, locations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The layer's output (Q, D) from points at `locations` (Q, H, P, 2; 0..1) that count by `weights` (Q, H, P)."""
    heads = np.einsum("qhpd,qhp->qhd", read_points(trace, reading.value, locations), weights)
    return heads.reshape(len(heads), -1) @ reading.projection.T + reading.bias

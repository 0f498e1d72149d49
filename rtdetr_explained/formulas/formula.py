"""One formula with the numbers of one image: what it is made of, and how numbers are written in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

EXACT = 1e-5  # what single precision and another order of the same operations can change, relative to the result
HALF = 1e-3  # the same where a number was kept in half precision: 11 bits, so 0.0005 of its own size
ROUNDED = 1e-4  # the same where a number was rounded to four decimals before it was used


@dataclass(frozen=True)
class Formula:
    """An equation, the same with numbers, and the result next to the trace's own.

    `latex` is the equation of the paper, `numbers` has the numbers of this image filled in; `where` explains the
    symbols. `computed` (n,) follows from the numbers, `traced` (n,) is what the pass itself gave, or what must come
    out by definition (`defined`), and `source` says where that was taken from. `tolerance` is the difference that the
    precision of the numbers allows, and `note` says what a reader must know about them.
    """

    title: str
    latex: str
    numbers: str
    where: tuple[tuple[str, str], ...]
    computed: np.ndarray
    traced: np.ndarray
    source: str
    tolerance: float
    note: str = ""
    defined: bool = False
    error: float = field(init=False)

    def __post_init__(self) -> None:
        difference = np.abs(np.asarray(self.computed, np.float64) - np.asarray(self.traced, np.float64))
        object.__setattr__(self, "error", float(difference.max()))

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance."""
        return bool(self.error <= self.tolerance)


def formula(
    title: str,
    latex: str,
    numbers: str,
    where: dict[str, str],
    computed: ArrayLike,
    traced: ArrayLike,
    source: str,
    precision: float = EXACT,
    note: str = "",
    defined: bool = False,
) -> Formula:
    """A formula whose tolerance is `precision` times the size of the numbers, or times one where they are smaller."""
    computed, traced = np.atleast_1d(np.asarray(computed, np.float64)), np.atleast_1d(np.asarray(traced, np.float64))
    tolerance = precision * max(1.0, float(np.abs(traced).max()))
    return Formula(title, latex, numbers, tuple(where.items()), computed, traced, source, tolerance, note, defined)


# ---------------------------------------------------------------- numbers in LaTeX


def tex(value: float, digits: int = 4) -> str:
    """A number with so many significant digits; powers of ten where it would be hard to read otherwise."""
    value = float(value)
    if not np.isfinite(value):
        return r"\text{undefined}" if np.isnan(value) else r"\infty" if value > 0 else r"-\infty"
    if value and not 1e-4 <= abs(value) < 1e7:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    if value == int(value) and abs(value) >= 1:
        return f"{int(value):,}".replace(",", r"\,")
    decimals = max(digits - 1 - int(np.floor(np.log10(abs(value)))), 0) if value else 0
    return f"{value:,.{decimals}f}".replace(",", r"\,")


def signed(value: float, digits: int = 4) -> str:
    """A number as a further term of a sum, with its sign."""
    return f"- {tex(-value, digits)}" if value < 0 else f"+ {tex(value, digits)}"


def factor(value: float, digits: int = 4) -> str:
    """A number as a factor: in parentheses where it is negative."""
    return f"({tex(value, digits)})" if value < 0 else tex(value, digits)


def column(values: Sequence[Any] | np.ndarray, digits: int = 4) -> str:
    """A column vector; strings stay as they are."""
    rows = [value if isinstance(value, str) else tex(value, digits) for value in values]
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def lines(*parts: str) -> str:
    """Parts of a long formula below each other."""
    return r"\begin{gathered} " + r" \\[4pt] ".join(parts) + r" \end{gathered}"


def words(text: str) -> str:
    """Words in a formula; what LaTeX could take for a command is left out."""
    return r"\text{" + re.sub(r"[^\w .,;()/|=×–-]", " ", text.replace("_", " ")) + "}"


def sigmoid64(x: ArrayLike) -> np.ndarray:
    """1 / (1 + e^-x) in double precision."""
    return 0.5 * (np.tanh(0.5 * np.asarray(x, np.float64)) + 1)


def logit(p: ArrayLike, eps: float = 1e-5) -> np.ndarray:
    """ln(p / (1 - p)) in double precision, both terms kept above `eps`, as the model computes it."""
    p = np.clip(np.asarray(p, np.float64), 0, 1)
    return np.log(np.maximum(p, eps) / np.maximum(1 - p, eps))

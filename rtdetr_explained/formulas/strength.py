"""The strength of a cell as the figures colour it; of the backbone's maps and of the fused ones."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.drawing.maps import channel_map
from rtdetr_explained.formulas.formula import (
    EXACT,
    HALF,
    Formula,
    factor,
    formula,
    tex,
)
from rtdetr_explained.tracing.choice import Choice


def strength(choice: Choice, site: str, what: str) -> Formula:
    """The root mean square over the channels of the cell that the selected query was chosen from."""
    row, col = choice.path.row, choice.path.col
    x = choice.values(site)[:, row, col]
    value = np.sqrt(np.mean(x**2))
    some = " + ".join([*(f"{factor(v, 3)}^2" for v in x[:3]), r"\dots", f"{factor(x[-1], 3)}^2"])
    return formula(
        "Strength of a cell, as the figure colours it",
        r"r_{y,x} = \sqrt{\tfrac{1}{C} \sum_{c=1}^{C} X_{c,y,x}^2}",
        rf"r_{{{row},{col}}} = \sqrt{{\tfrac{{1}}{{{len(x)}}} \left( {some} \right)}} = {tex(value)}",
        {"X": what, "y, x": f"its cell: row {row}, column {col}", "C": f"channels of the map: {len(x)}"},
        value,
        channel_map(choice.trace[site].array, None)[row, col],
        f"the figure's map of {site}",
        HALF if choice.trace[site].dtype == np.float16 else EXACT,
    )

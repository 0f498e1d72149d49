"""Formulas of the backbone: sizes of its maps, and what the figure colours."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.formulas.formula import (
    Formula,
    formula,
    tex,
)
from rtdetr_explained.formulas.strength import strength
from rtdetr_explained.model.config import LEVEL_STRIDES
from rtdetr_explained.tracing.choice import Choice


def formulas(choice: Choice) -> list[Formula]:
    """Sizes of the maps, and the strength of one cell as the figure colours it."""
    trace, query = choice.trace, choice.path
    H, W = trace.input_size
    sizes = [(H // s, W // s) for s in LEVEL_STRIDES]
    sites = [f"backbone.s{level}" for level in (3, 4, 5)]
    size_rows = r" \\ ".join(
        rf"{H}/{s} \times {W}/{s} &= {h} \times {w}" for s, (h, w) in zip(LEVEL_STRIDES, sizes, strict=True)
    )
    tokens = " + ".join(rf"{h} \cdot {w}" for h, w in sizes)
    return [
        formula(
            "Size of the three maps",
            r"(h_\ell, w_\ell) = (H / s_\ell,\; W / s_\ell), \qquad s_\ell \in \{8, 16, 32\}",
            rf"\begin{{aligned}} {size_rows} \end{{aligned}}",
            {
                "H, W": f"what the network sees: {H} × {W} pixels; the photo's aspect ratio is not kept",
                r"s_\ell": "stride of the level: one cell of S3, S4, S5 stands for so many pixels each way",
            },
            np.ravel(sizes),
            np.ravel([trace.site_infos[s].shape[1:] for s in sites]),
            "the shapes of " + ", ".join(sites),
        ),
        formula(
            "Number of cells that later compete for the queries",
            r"N = \sum_{\ell} h_\ell w_\ell",
            rf"N = {tokens} = {tex(sum(h * w for h, w in sizes))}",
            {"N": "number of cells of all three maps, the tokens of the encoder's memory"},
            sum(h * w for h, w in sizes),
            trace.site_infos["query_selection.scores"].shape[0],
            "the shape of query_selection.scores",
        ),
        strength(
            choice, sites[query.level], f"the map {LEVEL_NAMES[query.level]}, from which query {query.index} was chosen"
        ),
    ]

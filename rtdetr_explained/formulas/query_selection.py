"""Formulas of query selection: a cell's anchor, its score and rank, and the first box."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.formulas.formula import (
    HALF,
    ROUNDED,
    Formula,
    column,
    formula,
    lines,
    logit,
    sigmoid64,
    tex,
)
from rtdetr_explained.model.config import ANCHOR_SIZE
from rtdetr_explained.tracing.choice import Choice

NOT_VALID = (
    "This anchor lies at the border of the image and is not valid: its logits are infinite, so the trace holds 1 for "
    "all four numbers."
)


def formulas(choice: Choice) -> list[Formula]:
    """From a cell's anchor and score to the query's rank and first box; RT-DETR (2304.08069), section 4.3."""
    trace, query = choice.trace, choice.path
    h, w = trace.map_sizes[query.level]
    side = ANCHOR_SIZE * 2**query.level
    anchor = np.array([(query.col + 0.5) / w, (query.row + 0.5) / h, side, side])
    anchor_logit = choice.values("query_selection.anchors")[query.token]
    valid = bool(np.isfinite(anchor_logit).all())
    box = query.reference_boxes[0].astype(np.float64)
    name = LEVEL_NAMES[query.level]
    made = [
        formula(
            "The anchor: the fixed box of a cell",
            r"a = \left( \frac{x + 1/2}{w_\ell},\; \frac{y + 1/2}{h_\ell},\; "
            rf"{ANCHOR_SIZE} \cdot 2^\ell,\; {ANCHOR_SIZE} \cdot 2^\ell \right)",
            lines(
                rf"a = \left( \frac{{{query.col} + 1/2}}{{{w}}},\; \frac{{{query.row} + 1/2}}{{{h}}},\; "
                rf"{ANCHOR_SIZE} \cdot 2^{query.level},\; {ANCHOR_SIZE} \cdot 2^{query.level} \right)",
                r"= \left( " + r",\; ".join(map(tex, anchor)) + r" \right)",
            ),
            {
                r"\ell": f"level {query.level} of 0, 1, 2: {name}, a map of {h} rows and {w} columns",
                "x, y": f"column {query.col} and row {query.row} of token {query.token}, where query {query.index} "
                "comes from",
            },
            anchor if valid else np.ones(4),
            query.anchor,
            f"query_selection.anchors, token {query.token}",
            note="" if valid else NOT_VALID,
        ),
        rank(choice),
    ]
    if valid:
        delta = np.round(logit(box, 1e-12) - anchor_logit, 4)
        shown = column([f"{d:.4f}" for d in delta])
        made.append(
            formula(
                "The first reference box",
                r"b_0 = \sigma\big( \sigma^{-1}(a) + \Delta \big), \qquad \sigma^{-1}(p) = \ln \frac{p}{1 - p}",
                rf"b_0 = \sigma\!\left( {column(anchor_logit)} + {shown} \right) = "
                + column(sigmoid64(anchor_logit + delta)),
                {
                    "b_0": "first reference box: centre x, y, width, height in parts of the image",
                    r"\Delta": "correction from the box head, in logit space",
                    r"\sigma": "logistic function, which keeps every number between 0 and 1",
                },
                sigmoid64(anchor_logit + delta),
                box,
                f"query_selection.reference_boxes, query {query.index}",
                ROUNDED,
                "Δ is got back from the box, rounded to four decimals: the output of the box head is not kept.",
            )
        )
    return made


def rank(choice: Choice) -> Formula:
    """The score of the query's token and its place among all tokens, or all pairs of token and class."""
    trace, query = choice.trace, choice.path
    scores = choice.values("query_selection.scores")
    class_logits = trace["query_selection.class_logits"].array[query.token].astype(np.float64)
    z, N, Q = scores[query.token], len(scores), len(trace.logits)
    order = np.argsort(-class_logits, kind="stable")[:3]
    best = class_logits[order]
    # A head without classes only knows "object".
    name = trace.class_names[order[0]] if len(class_logits) == len(trace.class_names) else "object"
    rank = 1 + int((scores > z).sum())
    cutoff = scores[trace.token_indices].min()
    maximum = ", ".join(tex(v, 3) for v in best)
    where = {
        "i": f"token {query.token} of {N:,}",
        "z_{i,c}": f"logit of class c from the encoder's own head, best for {name}; "
        f"written out are the best {len(best)}",
        "s_i": "logit that is ranked; its σ is the score shown in the figure, trained towards the IoU of the box "
        "(varifocal loss)",
        r"\mathrm{rank}": f"one more than the tokens with a greater score; the {Q} best are kept, down to a logit of "
        f"{cutoff:.3g}".replace("-", "−"),
    }
    methods = [edit["method"] for edit in trace.meta["edits"] if edit["kind"] == "SetSelection"]
    by_pairs = [choice.config["query_select_method"], *methods][-1] == "one2many"
    return formula(
        "The score, and the place in the order",
        r"s_i = \max_c z_{i,c}, \qquad \mathrm{rank}(i) = 1 + \big| \{ j : s_j > s_i \} \big|",
        lines(
            rf"s_{{{query.token}}} = \max({maximum}, \dots) = {tex(z)}",
            rf"\sigma(s_{{{query.token}}}) = {tex(float(sigmoid64(z)))}, \qquad \mathrm{{rank}} = {rank}",
        ),
        where,
        [best[0]] if by_pairs else [best[0], rank],
        [z] if by_pairs else [z, 1 + int(np.nonzero(trace.token_indices == query.token)[0][0])],
        "query_selection.scores" + ("" if by_pairs else " and the place in query_selection.topk_indices"),
        HALF,
        "Pairs of token and class were ranked here, so that one token can give several queries."
        if by_pairs
        else "Class logits are kept in half precision, scores in full.",
    )

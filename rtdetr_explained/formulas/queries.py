"""Formulas of query selection and of the decoder."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.formulas.formula import (
    EXACT,
    HALF,
    ROUNDED,
    Choice,
    Formula,
    column,
    formula,
    lines,
    logit,
    sigmoid64,
    tex,
    words,
)

NOT_VALID = (
    "This anchor lies at the border of the image and is not valid: its logits are infinite, so the trace holds 1 for "
    "all four numbers."
)
ANCHOR_SIZE = 0.05  # side of the anchor on the finest level, in parts of the image


def query_selection(choice: Choice) -> list[Formula]:
    """From a cell's anchor and score to the query's rank and first box; RT-DETR (2304.08069), section 4.3."""
    trace, query = choice.trace, choice.query
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
            r"a = \left( \frac{x + 1/2}{w_\ell},\; \frac{y + 1/2}{h_\ell},\; 0.05 \cdot 2^\ell,\; 0.05 \cdot 2^\ell "
            r"\right)",
            lines(
                rf"a = \left( \frac{{{query.col} + 1/2}}{{{w}}},\; \frac{{{query.row} + 1/2}}{{{h}}},\; 0.05 \cdot "
                rf"2^{query.level},\; 0.05 \cdot 2^{query.level} \right)",
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
    trace, query = choice.trace, choice.query
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
        "s_i": "score that is ranked; its σ is the probability shown in the figure",
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


def decoder(choice: Choice) -> list[Formula]:
    """One layer: whom the query listens to, how its box moves, how its class is read off."""
    trace, query, layer = choice.trace, choice.query, choice.layer
    row = query.index - len(trace.logits)  # from the end: denoising queries come before the matching ones
    before, after = (query.reference_boxes[layer + k].astype(np.float64) for k in (0, 1))
    inverse = logit(before)
    delta = np.round(logit(after, 1e-12) - inverse, 4)
    shown = column([f"{d:.4f}" for d in delta])
    result = sigmoid64(delta + inverse)
    n = layer + 1
    return [
        attention(choice, row),
        formula(
            f"How layer {n} moves the box",
            r"b_{l} = \sigma\big( \Delta_l + \sigma^{-1}(b_{l-1}) \big), \qquad \sigma^{-1}(p) = \ln \frac{p}{1 - p}",
            lines(
                rf"b_{{{n}}} = \sigma\!\left( {shown} + \sigma^{{-1}} {column(before)} \right)",
                rf"= \sigma\!\left( {shown} + {column(inverse)} \right) = {column(result)}",
            ),
            {
                "b": "box of the query: centre x, y, width, height in parts of the image",
                r"\Delta": f"correction from the box head of layer {n}, in logit space",
                "l": f"layer, counted from 1; b₀ is the first reference box, here it goes from {n - 1} to {n}",
            },
            result,
            after,
            f"decoder.layers.{layer}.boxes, query {query.index}",
            ROUNDED,
            "Δ is got back from the two boxes, rounded to four decimals: the output of the box head is not kept.",
        ),
        class_score(choice, row),
    ]


def attention(choice: Choice, row: int) -> Formula:
    """The self-attention weights of the query in one head, which sum to one, and its heaviest partner."""
    query, layer = choice.query, choice.layer
    weights = choice.values(f"decoder.layers.{layer}.self_attn.weights")[:, row]  # H Q
    Q = len(choice.trace.logits)
    others = weights.copy()
    others[:, row] = -1
    head = int(others.max(1).argmax()) if choice.head is None else choice.head
    partner = int(others[head].argmax()) - (weights.shape[1] - Q)
    order = np.argsort(-weights[head], kind="stable")[:4]
    shown = " + ".join(tex(v, 3) for v in weights[head, order])
    total = weights[head].sum()
    d = choice.config["decoder_dim"] // len(weights)
    return formula(
        f"Whom the query listens to in layer {layer + 1}",
        r"\alpha_{qj} = \frac{\exp\!\big( \mathrm{q}_q \cdot \mathrm{k}_j / \sqrt{d} \big)}{\sum_m \exp\!\big( "
        r"\mathrm{q}_q \cdot \mathrm{k}_m / \sqrt{d} \big)}, \qquad \sum_j \alpha_{qj} = 1",
        lines(
            rf"\alpha_{{{query.index},{partner}}} = {tex(others[head].max())}",
            rf"\sum_j \alpha_{{{query.index},j}} = {shown} + \dots = {tex(total)}",
        ),
        {
            "q, j": f"query {query.index} listens to query j; of the others, most to query {partner}",
            r"\mathrm{q}, \mathrm{k}": f"query and key vectors of head {head}, with d = {d} numbers each",
            r"\alpha": f"weight by softmax over {weights.shape[1]} queries; the heaviest four are written out",
        },
        total,
        1.0,
        f"weights of a softmax; decoder.layers.{layer}.self_attn.weights, head {head}",
        HALF,
        "Query and key vectors are not kept in a trace, so the scalar products behind the weights stay symbols.",
        defined=True,
    )


def class_score(choice: Choice, row: int) -> Formula:
    """The score of the query's final class after this layer."""
    trace, query, layer = choice.trace, choice.query, choice.layer
    last = layer == trace.num_layers - 1
    name = trace.class_names[query.label]
    z = float(trace.derived.layer_logits[layer, row, query.label])
    traced = sigmoid64(trace.logits[query.index, query.label]) if last else query.layer_scores[layer, query.label]
    n = layer + 1
    return formula(
        f"The score after layer {n}",
        r"s_{l,c} = \sigma\big( W_l x_l + \beta_l \big)_c = \sigma(z_{l,c})",
        rf"s_{{{n},{words(name)}}} = \sigma({tex(z)}) = \frac{{1}}{{1 + e^{{{tex(-z)}}}}} = {tex(float(sigmoid64(z)))}",
        {
            "x_l": f"the query as it leaves layer {n}",
            r"W_l, \beta_l": f"class head of layer {n}",
            "c": f"the query's final class, {name}",
        },
        sigmoid64(z),
        traced,
        "decoder.logits" if last else f"the derived scores of layer {n}",
        EXACT,
        "" if last else "This score is derived: at inference the model applies only the class head of its last layer.",
    )

"""Formulas of the decoder: whom a query listens to, how its box moves, how its class is read off."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.formulas.formula import (
    EXACT,
    HALF,
    ROUNDED,
    Formula,
    column,
    formula,
    lines,
    logit,
    sigmoid64,
    tex,
    words,
)
from rtdetr_explained.tracing.choice import Choice


def formulas(choice: Choice) -> list[Formula]:
    """One layer: whom the query listens to, how its box moves, how its class is read off."""
    trace, query, layer = choice.trace, choice.path, choice.layer
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
    query, layer = choice.path, choice.layer
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
    trace, query, layer = choice.trace, choice.path, choice.layer
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

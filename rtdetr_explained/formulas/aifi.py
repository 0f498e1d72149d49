"""Formulas of AIFI: where a cell is, and where it looks."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.formulas.formula import (
    HALF,
    ROUNDED,
    Formula,
    formula,
    lines,
    tex,
)
from rtdetr_explained.model.config import POSITION_TEMPERATURE
from rtdetr_explained.tracing.choice import Choice

ATTENTION = "hybrid_encoder.aifi.layers.0.self_attn.weights"
POSITION = "hybrid_encoder.aifi.position"


def formulas(choice: Choice) -> list[Formula]:
    """Position code and attention of one cell of S5; RT-DETR (2304.08069), equation 3."""
    weights = choice.values(ATTENTION)[:, choice.cell_of_s5]  # H T
    head = int(weights.max(1).argmax()) if choice.head is None else choice.head
    order = np.argsort(-weights[head], kind="stable")
    made = [position(choice), attention(choice, head, weights[head], order)]
    # In half precision a very small weight can become zero, which tells nothing of the scalar product behind it.
    return [*made, partners(choice, head, weights[head], order)] if weights[head, order[1]] > 0 else made


def position(choice: Choice) -> Formula:
    """The sine and cosine code of the cell, made again for all channels."""
    row, col = divmod(choice.cell_of_s5, choice.trace.map_sizes[-1][1])
    code = choice.values(POSITION)[choice.cell_of_s5]
    quarter = len(code) // 4
    omega = POSITION_TEMPERATURE ** -(np.arange(quarter) / quarter)
    made = np.concatenate([np.sin(row * omega), np.cos(row * omega), np.sin(col * omega), np.cos(col * omega)])
    i = min(1, quarter - 1)
    y, x = tex(row * omega[i]), tex(col * omega[i])
    return formula(
        "Where a cell is, as sine and cosine",
        lines(
            r"\mathrm{pos}(y, x) = \big[ \sin y\omega_i,\; \cos y\omega_i,\; \sin x\omega_i,\; \cos x\omega_i "
            r"\big]_{i = 0}^{C/4 - 1}",
            rf"\omega_i = {POSITION_TEMPERATURE}^{{-4i/C}}",
        ),
        lines(
            rf"\omega_{{{i}}} = {POSITION_TEMPERATURE}^{{-{i}/{quarter}}} = {tex(omega[i])}",
            rf"\big[ \sin {y},\; \cos {y},\; \sin {x},\; \cos {x} \big]",
            r"= \big[ " + r",\; ".join(tex(made[i + k * quarter]) for k in range(4)) + r" \big]",
        ),
        {
            "y, x": f"row {row} and column {col} of cell {choice.cell_of_s5}",
            "C": f"channels: {len(code)}; each quarter holds one of the four kinds",
            r"\omega_i": f"frequency of entry i, shown for i = {i}; all {len(code)} channels are compared",
        },
        made,
        code,
        f"{POSITION}, cell {choice.cell_of_s5}",
        HALF,
    )


def attention(choice: Choice, head: int, weights: np.ndarray, order: np.ndarray) -> Formula:
    """The weights (T,) of the cell in one head, which sum to one; `order` begins with the heaviest cell."""
    cell, d = choice.cell_of_s5, choice.config["hidden_dim"] // choice.config["num_heads"]
    shown = " + ".join(tex(v, 3) for v in weights[order[:3]])
    return formula(
        "What a cell's attention adds up to",
        r"\alpha_{ij} = \frac{\exp\!\big( q_i \cdot k_j / \sqrt{d} \big)}{\sum_m \exp\!\big( q_i \cdot k_m / "
        r"\sqrt{d} \big)}, \qquad \sum_j \alpha_{ij} = 1",
        lines(
            rf"\sqrt{{d}} = \sqrt{{{d}}} = {tex(np.sqrt(d), 3)}",
            rf"\sum_j \alpha_{{{cell},j}} = {shown} + \dots = {tex(weights.sum())}",
        ),
        {
            "i": f"the cell that looks, {cell}; the heaviest three of {len(weights)} cells are written out",
            "q, k": f"query and key vectors of head {head}, each with d = {d} numbers",
            r"\alpha": "attention weight, made by softmax",
        },
        weights.sum(),
        1.0,
        f"weights of a softmax; {ATTENTION}, head {head}",
        HALF,
        "Query and key vectors are not kept in a trace, so the scalar products behind the weights stay symbols.",
        defined=True,
    )


def partners(choice: Choice, head: int, weights: np.ndarray, order: np.ndarray) -> Formula:
    """By how much the scalar product with the heaviest cell exceeds that with the second."""
    cell, columns = choice.cell_of_s5, choice.trace.map_sizes[-1][1]
    first, second = (int(i) for i in order[:2])
    more, less = weights[first], weights[second]
    gap = round(float(np.log(more / less)), 4)
    d = choice.config["hidden_dim"] // choice.config["num_heads"]
    names = [f"cell {i} (row {i // columns}, column {i % columns})" for i in (first, second)]
    return formula(
        "Why the heaviest cell outweighs the second",
        r"\frac{\alpha_{ij}}{\alpha_{ik}} = \exp\!\left( \frac{q_i \cdot k_j - q_i \cdot k_k}{\sqrt{d}} \right)",
        lines(
            rf"\frac{{q_{{{cell}}} \cdot k_{{{first}}} - q_{{{cell}}} \cdot k_{{{second}}}}}{{\sqrt{{{d}}}}} = \ln "
            rf"\frac{{{tex(more)}}}{{{tex(less)}}} = {tex(gap)}",
            rf"\alpha_{{{cell},{first}}} = {tex(less)} \cdot e^{{{tex(gap)}}} = {tex(less * np.exp(gap))}",
        ),
        {
            "i": f"the cell that looks, {cell}",
            "j, k": f"the two cells that weigh most in head {head}: {names[0]} and {names[1]}",
        },
        less * np.exp(gap),
        more,
        f"{ATTENTION}, head {head}",
        ROUNDED,
        "The scalar products are got back from the weights, rounded to four decimals: softmax keeps their differences.",
    )

"""Formulas of deformable attention: where one point lies, what it reads, and how much that counts."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.formulas.formula import EXACT, Formula, column, factor, formula, lines, tex
from rtdetr_explained.illustrations.deformable_attention.points import looked_at
from rtdetr_explained.illustrations.deformable_attention.sampling import (
    cell_at,
    cells_read,
    four_cells,
    is_discrete,
    of_layer,
    on_map,
    tokens_at,
)
from rtdetr_explained.model.config import OFFSET_SCALE
from rtdetr_explained.tracing.choice import Choice

HALF_STEP = 2**-11  # relative error of a number that was rounded to half precision


def formulas(choice: Choice) -> list[Formula]:
    """One point of the selected query; Deformable DETR (2010.04159), eq. 2, and RT-DETRv2 (2407.17140), section 3.1."""
    head, point = divmod(looked_at(choice), sum(choice.config["num_points"]))
    return [location(choice, head, point), weight(choice, head, point), *reading(choice, head, point)]


def value_sites(layer: int) -> tuple[str, str]:
    """What must be kept beyond a trace's usual sites, so that what a point reads can be computed again."""
    return f"decoder.layers.{layer}.cross_attn.value", f"decoder.layers.{layer}.cross_attn.sampled_values"


def of_query(choice: Choice, site: str) -> np.ndarray:
    """What a site of this layer's cross-attention holds for the query, in double precision."""
    return of_layer(choice, site)[choice.query].astype(np.float64)


def level_of(choice: Choice, point: int) -> int:
    """The level a point lies on."""
    return int(np.searchsorted(np.cumsum(choice.config["num_points"]), point, side="right"))


def location(choice: Choice, head: int, point: int) -> Formula:
    """Reference point, offset and box size to the place of the point."""
    layer = choice.layer
    level = level_of(choice, point)
    n = choice.config["num_points"][level]
    box = choice.path.reference_boxes[layer].astype(np.float64)
    offset = of_query(choice, "offsets")[head, point]
    made = box[:2] + offset / n * box[2:] * OFFSET_SCALE
    traced = of_query(choice, "sampling_locations")[head, point]
    in_px = traced * choice.trace.image_size
    rounding = float((np.abs(offset) / n * box[2:] * OFFSET_SCALE).max()) * HALF_STEP
    within = point - sum(choice.config["num_points"][:level])
    return formula(
        f"Where point {within} of head {head} on {LEVEL_NAMES[level]} lies",
        r"p = \hat{p} + \Delta p \cdot \frac{1}{n_\ell} \cdot \begin{pmatrix} w \\ h \end{pmatrix} \cdot "
        rf"{OFFSET_SCALE}",
        rf"p = {column(box[:2])} + {column(offset)} \cdot \frac{{1}}{{{n}}} \cdot {column(box[2:])} \cdot "
        rf"{OFFSET_SCALE} = {column(made)}",
        {
            r"\hat{p}": f"centre of the reference box of layer {layer + 1}, x and y in parts of the image",
            r"\Delta p": "raw offset that the network predicts from the query",
            r"n_\ell": f"points per head on {LEVEL_NAMES[level]}: {n}",
            "w, h": "size of the reference box: an offset of n reaches its edge",
            "p": f"place of the point, at ({in_px[0]:.1f}, {in_px[1]:.1f}) pixels".replace("-", "−"),
        },
        made,
        traced,
        f"decoder.layers.{layer}.cross_attn.sampling_locations, query {choice.query}",
        EXACT + rounding,
        "Offsets are kept in half precision, locations in full.",
    )


def weight(choice: Choice, head: int, point: int) -> Formula:
    """The weights of one head over all its points, which sum to one."""
    weights = of_query(choice, "weights")[head]
    order = np.argsort(-weights, kind="stable")[:4]
    shown = " + ".join(tex(v) for v in weights[order])
    by_level = np.add.reduceat(weights, np.cumsum([0, *choice.config["num_points"][:-1]]))
    levels = ", ".join(f"{name} {share:.2f}" for name, share in zip(LEVEL_NAMES, by_level, strict=True))
    return formula(
        "How much the point counts",
        r"A_p = \frac{e^{a_p}}{\sum_{p'} e^{a_{p'}}}, \qquad \sum_{p=1}^{P} A_p = 1",
        lines(
            rf"A_{{{point}}} = {tex(weights[point])}",
            rf"\sum_p A_p = {shown} + \dots = {tex(weights.sum())}",
        ),
        {
            "a": "attention logits, a linear function of the query alone: no scalar product with what is read",
            "A": f"weights of head {head}; the heaviest four of {len(weights)} are written out. By level: {levels}",
            "P": f"points of one head on all levels together: {len(weights)}",
        },
        weights.sum(),
        1.0,
        f"weights of a softmax; decoder.layers.{choice.layer}.cross_attn.weights, head {head}",
        defined=True,
        note="A weight says how much of a reading is mixed in, not how much the result depends on it.",
    )


def reading(choice: Choice, head: int, point: int) -> list[Formula]:
    """The cells a point reads, with their shares; with the values themselves where the trace holds them."""
    trace, level, discrete = choice.trace, level_of(choice, point), is_discrete(choice.trace)
    location = of_query(choice, "sampling_locations")[head, point]
    made = [] if discrete else [_cells(level, location, trace.map_sizes[level])]
    value_site, sampled_site = value_sites(choice.layer)
    if value_site not in trace or sampled_site not in trace:
        return made
    map_size = trace.map_sizes[level]
    cells, shares = cells_read(location, map_size, True) if discrete else four_cells(location, map_size)
    kept = trace[value_site].array[tokens_at(trace, level, cells), head].astype(np.float64)  # n d
    values = np.where(on_map(cells, map_size)[:, None], kept, 0)
    result = shares @ values
    amount = of_query(choice, "weights")[head, point]
    products = [rf"{tex(s)} \cdot {factor(v[0])}" for s, v in zip(shares, values, strict=True)]
    return [
        *made,
        formula(
            "What the point reads, and what it hands on",
            r"v = \sum_{i} b_i\, V_{\ell, h}[y_i, x_i], \qquad o_h = \sum_{p=1}^{P} A_p\, v_p",
            lines(
                rf"v_0 = {' + '.join(products[:2])}",
                rf"{''.join(f'+ {product} ' for product in products[2:])}= {tex(result[0])}",
                rf"A_{{{point}}}\, v_0 = {tex(amount)} \cdot {factor(result[0])} = {tex(amount * result[0])}",
            ),
            {
                "V": f"the map {LEVEL_NAMES[level]} after the value projection of head {head}"
                + (", read at the border where a point lies outside" if discrete else "; zero outside the map"),
                "v": f"what the point reads: {len(result)} numbers, of which the first is written out and all compared",
                "o_h": "what the head hands on: the sum over all its points; the heads are then joined and projected",
            },
            result,
            of_query(choice, "sampled_values")[head, point],
            f"{sampled_site}, query {choice.query}",
        ),
    ]


def _cells(level: int, location: np.ndarray, map_size: tuple[int, int]) -> Formula:
    (h, w), at = map_size, cell_at(location, map_size, discrete=False)
    corners, shares = four_cells(location, map_size)
    cells = "; ".join(
        f"row {row}, column {column}{'' if inside else ' (outside: zero)'}"
        for (column, row), inside in zip(corners, on_map(corners, map_size), strict=True)
    ).replace("-", "−")
    fx, fy = at - np.floor(at)
    middle = shares @ (corners + 0.5) / [w, h]
    return formula(
        "Which four cells it reads",
        lines(
            r"(x, y) = p \odot (w_\ell, h_\ell) - \tfrac12, \qquad f = (x, y) - \lfloor (x, y) \rfloor",
            r"b = \big( (1 - f_x)(1 - f_y),\; f_x (1 - f_y),\; (1 - f_x) f_y,\; f_x f_y \big)",
        ),
        lines(
            rf"(x, y) = ({tex(location[0])} \cdot {w} - \tfrac12,\; {tex(location[1])} \cdot {h} - \tfrac12)",
            rf"= ({tex(at[0])},\; {tex(at[1])}), \qquad f = ({tex(fx)},\; {tex(fy)})",
            "b = (" + r",\; ".join(map(tex, shares)) + ")",
        ),
        {
            r"w_\ell, h_\ell": f"columns and rows of {LEVEL_NAMES[level]}, {w} and {h}; its first cell is at (0, 0)",
            "f": "what is left of x and y after rounding down",
            "b": f"shares of the four cells, which sum to one: {cells}",
        },
        middle,
        location,
        "the point's location, which is where the middles of the four cells balance",
    )

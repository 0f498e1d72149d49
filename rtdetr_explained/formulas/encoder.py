"""Formulas of the first half of the network: overview, backbone, AIFI and CCFF."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.drawing.maps import channel_map
from rtdetr_explained.formulas.formula import (
    EXACT,
    HALF,
    ROUNDED,
    Choice,
    Formula,
    column,
    factor,
    formula,
    lines,
    sigmoid64,
    tex,
    words,
)
from rtdetr_explained.model.config import LEVEL_STRIDES

ATTENTION = "hybrid_encoder.aifi.layers.0.self_attn.weights"
POSITION = "hybrid_encoder.aifi.position"
TEMPERATURE = 10_000


def overview(choice: Choice) -> list[Formula]:
    """From the last numbers of the network to a scored box in pixels; RT-DETRv2 (2407.17140), post-processing."""
    trace, query = choice.trace, choice.query
    name = trace.class_names[query.label]
    z = float(trace.logits[query.index, query.label])
    score = float(sigmoid64(z))
    (W, H), (cx, cy, w, h) = trace.image_size, query.box.astype(np.float64)
    corners = np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]) * [W, H, W, H]
    found = [d for d in trace.detections(0.0) if (d.query, d.label) == (query.index, query.label)]
    traced = found[0].box_px if found else cxcywh_to_xyxy_px(query.box, trace.image_size)
    return [
        formula(
            "From logit to score",
            r"s_{q,c} = \sigma(z_{q,c}) = \frac{1}{1 + e^{-z_{q,c}}}",
            rf"s_{{{query.index},{words(name)}}} = \frac{{1}}{{1 + e^{{{tex(-z)}}}}} = {tex(score)}",
            {
                "q": f"the query, {query.index}",
                "c": f"the class, here the query's best one: {name}",
                "z": "class logit from the last layer's class head",
                "s": "score, the probability of the class on its own; the scores of all classes do not sum to one",
            },
            score,
            trace.scores[query.index],
            "decoder.logits",
        ),
        formula(
            "From box to corners in pixels",
            r"\begin{pmatrix} x_0 \\ y_0 \\ x_1 \\ y_1 \end{pmatrix} = \begin{pmatrix} (c_x - w/2)\,W \\ "
            r"(c_y - h/2)\,H \\ (c_x + w/2)\,W \\ (c_y + h/2)\,H \end{pmatrix}",
            _corner_numbers((cx, cy, w, h), (W, H)) + f" = {column(corners)}",
            {
                r"c_x, c_y, w, h": "the final box of the query: centre and size, in parts of the image",
                r"W, H": f"width and height of the image: {W} × {H} pixels",
                r"x_0, y_0, x_1, y_1": "left, top, right and bottom edge in pixels; a box may reach beyond the image",
            },
            corners,
            traced,
            "decoder.boxes",
            note="Nothing is suppressed or clipped: each query's box is a result of its own.",
        ),
    ]


def backbone(choice: Choice) -> list[Formula]:
    """Sizes of the maps, and the strength of one cell as the figure colours it."""
    trace, query = choice.trace, choice.query
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


def _corner_numbers(box: tuple[float, ...], image_size: tuple[int, int]) -> str:
    cx, cy, w, h = (tex(v) for v in box)
    W, H = image_size
    return column(
        [
            rf"({cx} - {w}/2) \cdot {W}",
            rf"({cy} - {h}/2) \cdot {H}",
            rf"({cx} + {w}/2) \cdot {W}",
            rf"({cy} + {h}/2) \cdot {H}",
        ]
    )


def strength(choice: Choice, site: str, what: str) -> Formula:
    """The root mean square over the channels of the cell that the selected query was chosen from."""
    row, col = choice.query.row, choice.query.col
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


def aifi(choice: Choice) -> list[Formula]:
    """Position code and attention of one cell of S5; RT-DETR (2304.08069), equation 3."""
    weights = choice.values(ATTENTION)[:, choice.cell]  # H T
    head = int(weights.max(1).argmax()) if choice.head is None else choice.head
    order = np.argsort(-weights[head], kind="stable")
    made = [position(choice), attention(choice, head, weights[head], order)]
    # In half precision a very small weight can become zero, which tells nothing of the scalar product behind it.
    return [*made, partners(choice, head, weights[head], order)] if weights[head, order[1]] > 0 else made


def position(choice: Choice) -> Formula:
    """The sine and cosine code of the cell, made again for all channels."""
    row, col = divmod(choice.cell, choice.trace.map_sizes[-1][1])
    code = choice.values(POSITION)[choice.cell]
    quarter = len(code) // 4
    omega = TEMPERATURE ** -(np.arange(quarter) / quarter)
    made = np.concatenate([np.sin(row * omega), np.cos(row * omega), np.sin(col * omega), np.cos(col * omega)])
    i = min(1, quarter - 1)
    y, x = tex(row * omega[i]), tex(col * omega[i])
    return formula(
        "Where a cell is, as sine and cosine",
        lines(
            r"\mathrm{pos}(y, x) = \big[ \sin y\omega_i,\; \cos y\omega_i,\; \sin x\omega_i,\; \cos x\omega_i "
            r"\big]_{i = 0}^{C/4 - 1}",
            r"\omega_i = 10000^{-4i/C}",
        ),
        lines(
            rf"\omega_{{{i}}} = 10000^{{-{i}/{quarter}}} = {tex(omega[i])}",
            rf"\big[ \sin {y},\; \cos {y},\; \sin {x},\; \cos {x} \big]",
            r"= \big[ " + r",\; ".join(tex(made[i + k * quarter]) for k in range(4)) + r" \big]",
        ),
        {
            "y, x": f"row {row} and column {col} of cell {choice.cell}",
            "C": f"channels: {len(code)}; each quarter holds one of the four kinds",
            r"\omega_i": f"frequency of entry i, shown for i = {i}; all {len(code)} channels are compared",
        },
        made,
        code,
        f"{POSITION}, cell {choice.cell}",
        HALF,
    )


def attention(choice: Choice, head: int, weights: np.ndarray, order: np.ndarray) -> Formula:
    """The weights (T,) of the cell in one head, which sum to one; `order` begins with the heaviest cell."""
    cell, d = choice.cell, choice.config["hidden_dim"] // choice.config["num_heads"]
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
    cell, columns = choice.cell, choice.trace.map_sizes[-1][1]
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


def ccff(choice: Choice) -> list[Formula]:
    """Sizes that must fit, and what the fusion costs; RT-DETR (2304.08069), section 4.2."""
    trace, query, config = choice.trace, choice.query, choice.config
    C = config["hidden_dim"]
    E = int(C * config["expansion"])
    sizes = trace.map_sizes
    _, (h4, w4), (h5, w5) = sizes
    A3, A4, A5 = (h * w for h, w in sizes)
    fused = not any(name.endswith(".bottlenecks.0.conv1") for name in trace.shapes)
    per_block = 9 if fused else 10  # kernel weights of a RepVGG block per pair of channels: 3x3, and 1x1 until fused
    csp = 2 * (2 * C) * E + 3 * per_block * E * E + (E * C if E != C else 0)
    places = A4 + A3 + A4 + A5
    cost = 2 * (C * C * (A5 + A4) + 9 * C * C * (A4 + A5) + csp * places)
    last = f"+ {E} \\cdot {C}" if E != C else ""
    return [
        formula(
            "Maps of two levels must fit to be put on top of each other",
            lines(
                r"[\,\mathrm{up}(T_5),\; P_4\,] \in \mathbb{R}^{2C \times 2h_5 \times 2w_5}",
                r"[\,\mathrm{up}(T_4),\; P_3\,] \in \mathbb{R}^{2C \times 2h_4 \times 2w_4}",
            ),
            lines(
                rf"2 \cdot ({h5} \times {w5}) = {2 * h5} \times {2 * w5} = h_4 \times w_4",
                rf"2 \cdot ({h4} \times {w4}) = {2 * h4} \times {2 * w4} = h_3 \times w_3, \qquad 2C = {2 * C}",
            ),
            {
                r"\mathrm{up}": "every cell repeated twice each way (nearest neighbour)",
                "T": "attended P5, and F4, after their lateral 1 × 1 convolutions",
                "C": f"channels of the encoder: {C}; two maps together have {2 * C}, and the fusion brings them back",
            },
            [2 * h5, 2 * w5, 2 * h4, 2 * w4],
            [*trace.site_infos["hybrid_encoder.p4"].shape[1:], *trace.site_infos["hybrid_encoder.p3"].shape[1:]],
            "the shapes of hybrid_encoder.p4 and hybrid_encoder.p3",
        ),
        formula(
            "What the fusion costs",
            lines(
                r"F = 2 \big[ C^2 (A_5 + A_4) + 9\, C^2 (A_4 + A_5)",
                rf"+ \big( 4\, C E + {3 * per_block}\, E^2 + [E \neq C]\, E C \big) (A_4 + A_3 + A_4 + A_5) \big]",
            ),
            lines(
                rf"F = 2 \big[ {C}^2 \cdot ({A5} + {A4}) + 9 \cdot {C}^2 \cdot ({A4} + {A5})",
                rf"+ \big( 4 \cdot {C} \cdot {E} + {3 * per_block} \cdot {E}^2 {last} \big) \cdot {places} \big] "
                rf"= {tex(cost / 1e9)} \cdot 10^9",
            ),
            {
                "F": "floating-point operations, two for each multiply-add: lateral 1 × 1 convolutions, 3 × 3 ones "
                "that halve a map, and four CSP blocks; norms and activations are left out",
                r"A_\ell": f"cells of a map: {A3:,}, {A4:,} and {A5:,}",
                "E": f"channels inside a CSP block: {E}, which is {config['expansion']:g} of C",
                str(3 * per_block): "three RepVGG blocks of 3 × 3 weights"
                + (", folded into one convolution each" if fused else " and 1 × 1 weights"),
            },
            cost / 1e9,
            trace.profile["ccff"].flops / 1e9,
            "the trace's count for CCFF, in 10⁹ operations",
        ),
        strength(
            choice,
            f"hybrid_encoder.ccff.n{query.level + 3}",
            f"the fused map from which query {query.index} was chosen",
        ),
    ]

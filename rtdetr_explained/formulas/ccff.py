"""Formulas of CCFF: sizes that must fit, and what the fusion costs."""

from __future__ import annotations

from rtdetr_explained.formulas.formula import (
    Formula,
    formula,
    lines,
    tex,
)
from rtdetr_explained.formulas.strength import strength
from rtdetr_explained.tracing.choice import Choice


def formulas(choice: Choice) -> list[Formula]:
    """Sizes that must fit, and what the fusion costs; RT-DETR (2304.08069), section 4.2."""
    trace, query, config = choice.trace, choice.path, choice.config
    C = config["hidden_dim"]
    E = int(C * config["expansion"])
    sizes = trace.map_sizes
    _, (h4, w4), (h5, w5) = sizes
    A3, A4, A5 = (h * w for h, w in sizes)
    fused = not any(name.endswith(".bottlenecks.0.conv1") for name in trace.shapes)
    per_block = 9 if fused else 10  # kernel weights of a RepVGG block per pair of channels: 3x3, and 1x1 until fused
    csp = 2 * (2 * C) * E + 3 * per_block * E * E + (E * C if E != C else 0)
    places = A4 + A3 + A4 + A5
    S3, S4 = (trace.site_infos[f"backbone.{name}"].shape[0] for name in ("s3", "s4"))
    cost = 2 * (C * (S3 * A3 + S4 * A4) + C * C * (A5 + A4) + 9 * C * C * (A4 + A5) + csp * places)
    last = f"+ {E} \\cdot {C}" if E != C else ""
    return [
        formula(
            "Maps of two levels must fit to be put on top of each other",
            lines(
                r"[\,\mathrm{up}(T_5),\; P_4\,] \in \mathbb{R}^{2C \times 2h_5 \times 2w_5}",
                r"[\,\mathrm{up}(T_4),\; P_3\,] \in \mathbb{R}^{2C \times 2h_4 \times 2w_4}",
            ),
            lines(
                rf"2 \cdot {h5} \times 2 \cdot {w5} = {2 * h5} \times {2 * w5} = h_4 \times w_4",
                rf"2 \cdot {h4} \times 2 \cdot {w4} = {2 * h4} \times {2 * w4} = h_3 \times w_3, \qquad 2C = {2 * C}",
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
                r"F = 2 \big[ C (S_3 A_3 + S_4 A_4) + C^2 (A_5 + A_4) + 9\, C^2 (A_4 + A_5)",
                rf"+ \big( 4\, C E + {3 * per_block}\, E^2 + [E \neq C]\, E C \big) (A_4 + A_3 + A_4 + A_5) \big]",
            ),
            lines(
                rf"F = 2 \big[ {C} \cdot ({S3} \cdot {A3} + {S4} \cdot {A4}) + {C}^2 \cdot ({A5} + {A4}) "
                rf"+ 9 \cdot {C}^2 \cdot ({A4} + {A5})",
                rf"+ \big( 4 \cdot {C} \cdot {E} + {3 * per_block} \cdot {E}^2 {last} \big) \cdot {places} \big] "
                rf"= {tex(cost / 1e9)} \cdot 10^9",
            ),
            {
                "F": "floating-point operations, two for each multiply-add: 1 × 1 convolutions that bring S3 and S4 to "
                "C channels, lateral ones, 3 × 3 ones that halve a map, and four CSP blocks; norms and activations are "
                "left out",
                r"S_\ell": f"channels of S3 and S4: {S3} and {S4}",
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

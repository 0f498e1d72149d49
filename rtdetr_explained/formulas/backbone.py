"""Formulas of the backbone, whichever it is: sizes of its maps, what its blocks cost, what the figure colours."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.formulas.formula import (
    Formula,
    formula,
    lines,
    tex,
)
from rtdetr_explained.formulas.strength import strength
from rtdetr_explained.model.config import BLOCKS_PER_STAGE, LEVEL_STRIDES, LITE_STAGES, LITE_STEM
from rtdetr_explained.tracing.choice import Choice


class Convolution(NamedTuple):
    """A convolution and the stride, in pixels of the input, of the map that it writes."""

    stride: int
    kernel: int
    in_channels: int
    out_channels: int
    groups: int = 1


def formulas(choice: Choice) -> list[Formula]:
    """Sizes of the maps, what the blocks cost, and the strength of one cell as the figure colours it."""
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
        operations(choice),
        strength(
            choice, sites[query.level], f"the map {LEVEL_NAMES[query.level]}, from which query {query.index} was chosen"
        ),
    ]


def operations(choice: Choice) -> Formula:
    """Floating-point operations of the last block as numbers, and of all convolutions together against the count."""
    trace, config = choice.trace, choice.trace.meta["config"]
    lite = config.get("backbone") == "efficientnet_lite0"
    stem, blocks = efficientnet_blocks() if lite else resnet_blocks(config["depth"], config["width"])
    H, W = trace.input_size

    def flops(one: Convolution) -> int:
        cells = (H // one.stride) * (W // one.stride)
        return 2 * cells * one.kernel**2 * (one.in_channels // one.groups) * one.out_channels

    last, total = blocks[-1], sum(map(flops, chain(stem, *blocks)))
    h, w = H // last[-1].stride, W // last[-1].stride
    terms = " + ".join(rf"{c.kernel}^2 \cdot {c.in_channels // c.groups} \cdot {c.out_channels}" for c in last)
    cost = sum(map(flops, last))
    if lite:
        wide = last[1].out_channels
        name = "an inverted residual"
        note = (
            f"Wide inside, narrow outside: 1×1 from {last[0].in_channels} to {wide} channels, {last[1].kernel}×"
            f"{last[1].kernel} on each channel alone, 1×1 to {last[2].out_channels}. A {last[1].kernel}×"
            f"{last[1].kernel} that mixed all {wide} channels would cost "
            f"{flops(last[1]._replace(groups=1)) / cost:.0f} times as much as this whole block."
        )
    else:
        name = "a residual block of ResNet-vd"
        inner = last[-1].in_channels
        shape = f"1×1 to {inner} channels, 3×3, 1×1 back" if len(last) > 2 else f"two 3×3 with {inner} channels"
        note = (
            f"Here {shape}, added to what came in. Where a stage halves the map, its first block has a shortcut with a "
            "1×1 of its own, after the mean of 2×2 cells: with a stride it would leave out three cells of four."
        )
    return formula(
        f"What the last block, {name}, and all of them cost",
        r"F = 2 \sum_j h_j w_j\, k_j^2\, \frac{C_j}{g_j}\, C'_j",
        lines(
            rf"F_{{\text{{last}}}} = 2 \cdot {h} \cdot {w} \left( {terms} \right) = {tex(cost)}",
            rf"F_{{\text{{stem}}}} + \sum_{{b=1}}^{{{len(blocks)}}} F_b = {tex(total)}",
        ),
        {
            "F": "floating-point operations, two for each multiply-add; norms and activations are not counted",
            "h_j, w_j": "rows and columns that convolution j of the block writes",
            "k_j": "side of its kernel",
            "C_j, C'_j": "channels it reads and writes",
            "g_j": "its groups: 1, or one for each channel where a channel is filtered by itself (depthwise)",
        },
        total,
        trace.profile["backbone"].flops,
        "the operations counted in the pass",
        note=note,
    )


def efficientnet_blocks() -> tuple[list[Convolution], list[list[Convolution]]]:
    """Convolutions of the stem and of each block of EfficientNet-Lite0."""
    blocks, channels, at = [], LITE_STEM, 2
    for kernel, stride, expansion, out, count in chain(*LITE_STAGES):
        for b in range(count):
            wide, before = channels * expansion, at
            at *= stride if b == 0 else 1
            narrow = [Convolution(at, kernel, wide, wide, wide), Convolution(at, 1, wide, out)]
            blocks.append([Convolution(before, 1, channels, wide)] * (expansion > 1) + narrow)
            channels = out
    return [Convolution(2, 3, 3, LITE_STEM)], blocks


def resnet_blocks(depth: int, width: int) -> tuple[list[Convolution], list[list[Convolution]]]:
    """Convolutions of the stem and of each block of ResNet-vd; a shortcut's comes first."""
    stem = [Convolution(2, 3, a, b) for a, b in pairwise((3, width // 2, width // 2, width))]
    blocks, channels, at = [], width, 4
    for s, count in enumerate(BLOCKS_PER_STAGE[depth]):
        w = width * 2**s
        out = 4 * w if depth >= 50 else w
        for b in range(count):
            before = at
            at *= 2 if b == 0 and s > 0 else 1
            if depth >= 50:
                way = [Convolution(before, 1, channels, w), Convolution(at, 3, w, w), Convolution(at, 1, w, out)]
            else:
                way = [Convolution(at, 3, channels, w), Convolution(at, 3, w, w)]
            blocks.append([Convolution(at, 1, channels, out)] * (b == 0) + way)
            channels = out
    return stem, blocks

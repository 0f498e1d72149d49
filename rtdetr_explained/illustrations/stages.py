"""What is said about each of the eight stages, whatever the image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """Title and subtitle of a stage, what happens in it in one sentence, and what is often misread."""

    title: str
    subtitle: str
    sentence: str
    misread: str


STAGES = {
    "overview": Stage(
        "Overview",
        "from pixels to boxes",
        "A photo goes in, a fixed number of queries comes out, each with a box and a score for every class; those that "
        "score high enough are the result, without a step that removes duplicates.",
        "“Hybrid” does not mean that the encoder attends across scales: attention works inside S5 alone (AIFI), the "
        "scales are joined by convolutions (CCFF). Deformable attention is in the decoder only.",
    ),
    "backbone": Stage(
        "Backbone",
        "three maps of the image",
        "A convolutional network turns the photo into three stacks of maps: the finer one still sees small details, "
        "the coarser ones see less place and more meaning.",
        "A bright cell is not “object found here”: it only says that many channels answer strongly. And a cell sees "
        "far more of the photo than the square it covers.",
    ),
    "aifi": Stage(
        "AIFI",
        "attention inside the coarsest map",
        "Every cell of the coarsest map looks at every other cell of that map and takes over what it finds there: that "
        "is self-attention, with sine and cosine codes telling where each cell is.",
        "This is plain attention inside S5 alone: not deformable, and not across scales. And a weight is not "
        "importance: it says how much of a cell's value is mixed in, not how much the result depends on it.",
    ),
    "ccff": Stage(
        "CCFF",
        "fusion across the three maps",
        "The three scales are mixed by convolutions: first the coarse map's meaning flows down into the finer ones, "
        "then their detail flows back up.",
        "No attention happens here, deformable or not: maps are resized, stacked and convolved. The only attention of "
        "the encoder is AIFI, one stage earlier, and it never leaves S5.",
    ),
    "query_selection": Stage(
        "Query selection",
        "which places become queries",
        "Every cell of the three maps gets a score for each class; the best cells become queries, and each starts from "
        "the fixed box of its cell, its anchor, moved by a predicted offset.",
        "The rule is simply the highest class score. “Uncertainty-minimal” names how the score was trained (varifocal "
        "loss): towards the IoU of the box. So it is high only where the box is good too, and no probability.",
    ),
    "decoder": Stage(
        "Decoder",
        "queries refined layer by layer",
        "In each layer the queries first listen to each other (self-attention), then read the image (deformable "
        "attention), and then each corrects its own box a little.",
        "Only the last layer's class score is computed at inference. The scores of earlier layers are derived: each "
        "layer's own class head, applied to its output afterwards.",
    ),
    "deformable_attention": Stage(
        "Deformable attention",
        "where a query looks",
        "A query does not look at every cell: each head reads a few points on each of the three maps, placed relative "
        "to the query's box, and adds up what it reads by weight.",
        "Weight is not importance: a heavy point may carry little, and only taking it away shows what it contributes.",
    ),
    "denoising": Stage(
        "Denoising",
        "a training aid",
        "Only the training uses it: noised copies of the true boxes enter as extra queries; those with little noise "
        "must be repaired, those with much noise must say “nothing here”.",
        "At inference there are no denoising queries: they cost nothing there and change no detection by themselves.",
    ),
}
"""By slug, in the order of the pass."""

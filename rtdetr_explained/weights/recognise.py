"""Read the architecture off the tensors of a checkpoint: variant, widths, layers, classes, points per level."""

import re
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.class_names import COCO_CLASSES
from rtdetr_explained.model.config import BLOCKS_PER_STAGE, CONFIGS, LEVEL_STRIDES, ModelConfig

Layout = Literal["rtdetr-explained", "official", "transformers"]

# One tensor that every RT-DETR of a layout has, and no other model.
SIGNATURES: dict[str, Layout] = {
    "query_selection.score_head.weight": "rtdetr-explained",
    "decoder.enc_score_head.weight": "official",
    "model.enc_score_head.weight": "transformers",
}

VERSION_1_POINTS = (4, 4, 4)
EFFICIENTNET = "backbone.stem.conv.weight"  # its stem is one convolution, that of ResNet-vd are three

# What the tensors show of a variant; a file that agrees in all of these is that variant.
STRUCTURE = (
    "backbone",
    "depth",
    "width",
    "hidden_dim",
    "encoder_ffn_dim",
    "expansion",
    "decoder_dim",
    "decoder_ffn_dim",
    "num_heads",
    "num_layers",
)
SHOWN_BY_TENSORS = (*STRUCTURE, "num_points", "freeze_norm", "version")


def recognise(state: dict[str, Tensor], layout: Layout) -> ModelConfig:
    """Build the configuration that fits a state dict with the names used here.

    What no tensor shows (queries, layer used at inference, size of the input, sampling) comes from the variant of the
    same structure or, when there is none, from the defaults under the name "custom". Raises InputError when a tensor
    that decides is missing or makes no sense; whether all the others fit is for the caller to check.
    """

    def rows(name: str) -> int:
        if name not in state or state[name].ndim == 0:
            raise InputError(f"the tensor {name} is missing or empty")
        return state[name].shape[0]

    scale = state.get("decoder.layers.0.cross_attn.num_points_scale")
    version = 1 if scale is None and layout != "rtdetr-explained" else 2
    # Version 1 keeps no scale: it has the same number of points on each level, 4 in every published model.
    num_points = VERSION_1_POINTS if version == 1 else points_per_level(scale)
    hidden_dim = rows("hybrid_encoder.input_proj.0.conv.weight")
    if EFFICIENTNET in state:
        backbone = {"backbone": "efficientnet_lite0"}
        frozen = "backbone.stem.norm.weight" not in state
    else:
        backbone = {"depth": backbone_depth(state), "width": rows("backbone.stem.2.conv.weight")}
        frozen = norms_are_frozen(state, layout, backbone["depth"])
    found = {
        **backbone,
        "hidden_dim": hidden_dim,
        "encoder_ffn_dim": rows("hybrid_encoder.aifi.layers.0.linear1.weight"),
        "expansion": rows("hybrid_encoder.ccff.fpn_blocks.0.conv1.conv.weight") / max(hidden_dim, 1),
        "decoder_dim": rows("query_selection.enc_output.proj.weight"),
        "decoder_ffn_dim": rows("decoder.layers.0.linear1.weight"),
        "num_heads": rows("decoder.layers.0.cross_attn.attention_weights.weight") // sum(num_points),
        "num_layers": count(state, r"decoder\.layers\.(\d+)\."),
    }
    if found["num_heads"] < 1 or found["decoder_dim"] % found["num_heads"]:
        raise InputError(f"{found['num_heads']} attention heads do not divide a width of {found['decoder_dim']}")
    num_classes = rows("decoder.score_heads.0.weight")
    agnostic = rows("query_selection.score_head.weight") == 1 < num_classes
    structure = {field: getattr(ModelConfig, field) for field in STRUCTURE} | found
    same = [c for c in CONFIGS.values() if all(getattr(c, field) == structure[field] for field in STRUCTURE)]
    base = same[0] if same else ModelConfig("custom")
    return replace(
        base,
        **found,
        version=version,
        freeze_norm=frozen,
        freeze_at=max(base.freeze_at, 0) if frozen else -1,
        num_points=num_points,
        class_names=base.class_names if base.num_classes == num_classes else default_class_names(num_classes),
        query_select_method="agnostic" if agnostic else "default",
    )


def count(state: dict[str, Tensor], pattern: str) -> int:
    """How many different numbers the pattern's group takes among the names of the state dict."""
    return len({match[1] for name in state if (match := re.match(pattern, name))})


def backbone_depth(state: dict[str, Tensor]) -> int:
    """18, 34, 50 or 101, from the blocks of each stage and their kind."""
    blocks = tuple(count(state, rf"backbone\.stages\.{s}\.(\d+)\.") for s in range(4))
    bottleneck = "backbone.stages.0.0.conv3.conv.weight" in state
    for depth, expected in BLOCKS_PER_STAGE.items():
        if blocks == expected and bottleneck == (depth >= 50):
            return depth
    kind = "bottleneck" if bottleneck else "basic"
    raise InputError(f"its backbone has {blocks} {kind} blocks, which is none of PResNet-vd 18, 34, 50 and 101")


def points_per_level(scale: Tensor | None) -> tuple[int, ...]:
    """Sampling points of each level, from the saved buffer in which a level with p points has p entries of 1/p."""
    values = scale.flatten().tolist() if scale is not None else []
    points = []
    while values:
        p = round(1 / values[0]) if 0 < values[0] <= 1 else 0
        if p < 1 or len(values) < p or any(abs(v * p - 1) > 0.01 for v in values[:p]):
            break
        points.append(p)
        values = values[p:]
    if values or len(points) != len(LEVEL_STRIDES):
        raise InputError("num_points_scale, which tells the sampling points of its three levels, is missing or wrong")
    return tuple(points)


def norms_are_frozen(state: dict[str, Tensor], layout: Layout, depth: int) -> bool:
    """Whether the backbone's batch norms are frozen: a frozen one has no `num_batches_tracked`.

    transformers always freezes them, and a file may have been stripped of every such tensor; the depth then decides, as
    in the published models.
    """
    tracked = [name.startswith("backbone.") for name in state if name.endswith("num_batches_tracked")]
    if any(tracked):
        return False
    return depth >= 50 if layout == "transformers" or not tracked else True


def default_class_names(num_classes: int) -> tuple[str, ...]:
    """COCO's names for 80 classes, else "class 0" and so on."""
    if num_classes == len(COCO_CLASSES):
        return COCO_CLASSES
    return tuple(f"class {i}" for i in range(num_classes))


def image_size_of_anchors(anchors: Tensor) -> tuple[int, int] | None:
    """(height, width) in pixels of the input that an official file's `decoder.anchors` (1 N 4) were made for.

    Neighbours in a row of the finest map lie 1/w apart, and the three maps have h·w·(1 + 1/4 + 1/16) tokens together.
    """
    if anchors.ndim != 3 or anchors.shape[-1] != 4:
        return None
    cx, cy = anchors[0, :, 0].double().sigmoid(), anchors[0, :, 1].double().sigmoid()
    valid = anchors[0].isfinite().all(-1)
    neighbours = valid[1:] & valid[:-1] & torch.isclose(cy[1:], cy[:-1], atol=1e-6) & (cx[1:] > cx[:-1])
    if not neighbours.any():
        return None
    w = round(1 / float((cx[1:] - cx[:-1])[neighbours][0]))
    h = round(anchors.shape[1] / (w * 21 / 16))
    tokens = sum((8 * h // stride) * (8 * w // stride) for stride in LEVEL_STRIDES)
    return (8 * h, 8 * w) if tokens == anchors.shape[1] and h % 4 == 0 and w % 4 == 0 else None

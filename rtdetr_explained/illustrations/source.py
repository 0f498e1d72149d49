"""The model's own source, stage by stage: the functions that a reader of the figures will want to read."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.sites import SiteInfo
from rtdetr_explained.tracing.trace import Trace

PACKAGE = "rtdetr_explained"
# Per stage, in the order of reading: module and name of each function, and for methods the places of their objects in
# the network, which is where the sites lie that the code names.
CODE: dict[str, tuple[tuple[str, str, str], ...]] = {
    "overview": (
        ("model.rtdetr", "RTDETR.forward", ""),
        ("model.rtdetr", "RTDETR.encode", ""),
        ("model.hybrid_encoder", "HybridEncoder.forward", "hybrid_encoder"),
        ("model.rtdetr", "RTDETR.predict", ""),
        ("model.postprocess", "postprocess", ""),
    ),
    "backbone": (
        ("model.backbone", "ResNetVd.forward", "backbone"),
        ("model.backbone", "BasicBlock.forward", ""),
        ("model.backbone", "Bottleneck.forward", ""),
        ("model.backbone", "Shortcut", ""),
    ),
    "aifi": (
        ("model.aifi", "AIFI.forward", "hybrid_encoder.aifi"),
        ("model.aifi", "AIFILayer.forward", ""),
        ("model.layers", "SelfAttention.forward", "hybrid_encoder.aifi.layers.*.self_attn"),
        ("model.aifi", "sincos_position_table", ""),
    ),
    "ccff": (
        ("model.ccff", "CCFF.forward", "hybrid_encoder.ccff"),
        ("model.ccff", "CSPRepLayer.forward", ""),
        ("model.ccff", "RepVggBlock.forward", ""),
        ("model.ccff", "upsample", ""),
    ),
    "query_selection": (
        ("model.query_selection", "QuerySelection.forward", "query_selection"),
        ("model.query_selection", "QuerySelection.flatten", "query_selection"),
        ("model.query_selection", "make_anchors", ""),
        ("model.query_selection", "choose_tokens", ""),
    ),
    "decoder": (
        ("model.decoder", "Decoder.forward", "decoder"),
        ("model.decoder", "DecoderLayer.forward", "decoder.layers.*"),
        ("model.layers", "SelfAttention.forward", "decoder.layers.*.self_attn"),
        ("model.layers", "inverse_sigmoid", ""),
    ),
    "deformable_attention": (
        ("model.deformable_attention", "DeformableAttention.forward", "decoder.layers.*.cross_attn"),
        ("model.deformable_attention", "sample_bilinear", ""),
        ("model.deformable_attention", "sample_discrete", ""),
        ("model.deformable_attention", "DeformableAttention.reset_parameters", ""),
    ),
    "denoising": (
        ("model.denoising", "Denoising.forward", "denoising"),
        ("model.denoising", "Denoising.add_label_noise", ""),
        ("model.denoising", "Denoising.add_box_noise", ""),
        ("model.denoising", "blocked_pairs", ""),
    ),
}
# The same for a model with the other backbone.
EFFICIENTNET_CODE = (
    ("model.backbone_efficientnet", "EfficientNetLite0.forward", "backbone"),
    ("model.backbone_efficientnet", "InvertedResidual", ""),
    ("model.backbone_efficientnet", "SameConvNorm", ""),
)


@dataclass(frozen=True)
class Listing:
    """Some lines of the model; `path` is relative to the package's parent, lines count from 1.

    `calls` are globs of the modules of the network that the lines call; those that are taps name a tensor.
    """

    title: str
    path: str
    first_line: int
    code: str
    calls: tuple[str, ...]

    @property
    def last_line(self) -> int:
        """The line of the file that the code ends with."""
        return self.first_line + self.code.count("\n")

    def sites(self, trace: Trace) -> list[SiteInfo]:
        """The tensors that the lines name, in the order of the code."""
        return [site for pattern in self.calls for site in trace.sites(pattern)]


@cache
def listings(slug: str, backbone: str = "resnet_vd") -> tuple[Listing, ...]:
    """The code of a stage in the order of reading, of a model with that backbone. InputError for an unknown stage."""
    if slug not in CODE:
        raise InputError(f"There is no stage {slug!r}; choose one of {', '.join(CODE)}.")
    other = slug == "backbone" and backbone == "efficientnet_lite0"
    return tuple(_listing(*entry) for entry in (EFFICIENTNET_CODE if other else CODE[slug]))


def _listing(module_name: str, name: str, place: str) -> Listing:
    found: Any = import_module(f"{PACKAGE}.{module_name}")
    for part in name.split("."):
        found = getattr(found, part)
    lines, first_line = inspect.getsourcelines(found)
    code = textwrap.dedent("".join(lines)).rstrip()
    path = PACKAGE + "/" + module_name.replace(".", "/") + ".py"
    called = re.findall(r"\b(self|layer)\.(\w+)\(", code) if place else []
    within = {"self": place, "layer": f"{place}.layers.*"}
    calls = dict.fromkeys(f"{within[owner]}.{attribute}" for owner, attribute in called)
    return Listing(name, path, first_line, code, tuple(calls))

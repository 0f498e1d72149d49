from dataclasses import replace

import pytest
import torch
from random_models import TINY, random_images, random_model, random_photo
from torch.utils.flop_counter import FlopCounterMode

from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.overview import COUNTING
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.fuse import fuse
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.tracing.profile import stage_profiles
from rtdetr_explained.tracing.recorder import Recorder, install_hooks, recording
from rtdetr_explained.tracing.sites import STAGES
from rtdetr_explained.tracing.trace import StageProfile, Trace

# Parameters, and billions of operations at 640 x 640 of the fused reference, measured without the matrix products of
# self-attention and with the encoder's box head on all 8,400 tokens.
PUBLISHED = {
    "rtdetrv2_r18vd": (20_184_464, 60.06),
    "rtdetrv2_r34vd": (31_441_668, 92.08),
    "rtdetrv2_r50vd_m": (36_593_772, 99.18),
    "rtdetrv2_r50vd": (42_891_372, 133.13),
    "rtdetrv2_r101vd": (76_556_268, 250.93),
}


def profile_of(name: str) -> dict[str, StageProfile]:
    """The profile of a published model at its own size; only shapes are computed."""
    with torch.device("meta"), torch.no_grad():
        model = RTDETR(CONFIGS[name])
        fused = fuse(model)
        install_hooks(fused, ())
        with recording(Recorder(lambda site: None, torch.device("cpu"))) as recorder:
            fused(torch.empty(1, 3, 640, 640))
    return stage_profiles(fused, recorder.shapes()) | {"parameters": stage_profiles(model, {})["overview"]}


@pytest.mark.parametrize("name", PUBLISHED)
def test_costs_of_the_published_models(name: str) -> None:
    config, profile = CONFIGS[name], profile_of(name)
    parameters, gflops = PUBLISHED[name]
    assert profile["parameters"].parameters == parameters

    layers = config.eval_layer + 1
    bilinear = layers * 300 * 256 * 12 * (8 + 2)  # reads and weighted sum, which the reference does not count either
    attention = 4 * 400 * 400 * config.hidden_dim + layers * 4 * 300 * 300 * 256
    box_head = 2 * (8400 - 300) * (256 * 256 + 256 * 256 + 256 * 4)
    assert (profile["overview"].flops - bilinear - attention + box_head) / 1e9 == pytest.approx(gflops, abs=0.006)


def test_aifi_projects_its_own_map_only() -> None:
    tokens, C, ffn = 20 * 20, 256, 1024
    attention = 4 * C * C * tokens + 2 * tokens * tokens * C  # four projections, two products
    assert profile_of("rtdetrv2_r18vd")["aifi"].flops == 2 * (512 * C * tokens + attention + 2 * C * ffn * tokens)


def test_the_difference_to_the_published_operations_is_told() -> None:
    shown = profile_of("rtdetrv2_r18vd")["overview"].flops / 1e9
    published = PUBLISHED["rtdetrv2_r18vd"][1]
    box_head = 2 * (8400 - 300) * (256 * 256 + 256 * 256 + 256 * 4) / 1e9
    more = shown + box_head - published
    for told in (f"{shown:.1f} G", f"{published:.1f} G", f"−{box_head:.1f} G", f"+{more:.1f} G"):
        assert told in COUNTING


def test_operations_are_those_that_torch_counts(detector: Detector, trace: Trace) -> None:
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        detector.model(random_images(1, 96, 128))
    bilinear = 3 * 20 * 24 * 9 * (8 + 2)  # grid_sample is not among them
    assert trace.profile["overview"].flops - bilinear == counter.get_total_flops()


def test_stages_add_up_to_the_whole(trace: Trace) -> None:
    assert tuple(trace.profile) == STAGES
    parts = [trace.profile[stage] for stage in STAGES[1:]]
    assert sum(part.flops for part in parts) == trace.profile["overview"].flops
    assert sum(part.parameters for part in parts) == trace.profile["overview"].parameters
    assert all(part.flops > 0 for part in parts[:-1])
    assert trace.profile["denoising"].flops == 0  # it does not run at inference


def test_parameters_per_stage_are_those_of_the_model_before_it_is_fused(detector: Detector, trace: Trace) -> None:
    model = RTDETR(detector.config)

    def count(*modules: torch.nn.Module) -> int:
        return sum(parameter.numel() for module in modules for parameter in module.parameters())

    cross = count(*[layer.get_submodule("cross_attn") for layer in model.decoder.layers])
    found = {stage: profile.parameters for stage, profile in trace.profile.items()}
    assert found == {
        "overview": count(model),
        "backbone": count(model.backbone),
        "aifi": count(model.hybrid_encoder.aifi, model.hybrid_encoder.get_submodule("input_proj.2")),
        "ccff": count(
            model.hybrid_encoder.ccff,
            *map(model.hybrid_encoder.get_submodule, ("input_proj.0", "input_proj.1")),
        ),
        "query_selection": count(model.query_selection),
        "decoder": count(model.decoder) - cross,
        "deformable_attention": cross,
        "denoising": count(model.denoising),
    }


def test_a_larger_input_costs_more_in_the_maps_but_not_in_the_queries(detector: Detector, trace: Trace) -> None:
    larger = detector.trace(trace.photo, sites=[], size=(192, 256)).profile
    assert larger["backbone"].flops == 4 * trace.profile["backbone"].flops
    assert larger["ccff"].flops == 4 * trace.profile["ccff"].flops
    assert larger["decoder"].flops == trace.profile["decoder"].flops


def test_a_discrete_model_mixes_no_cells(trace: Trace) -> None:
    config = replace(TINY, cross_attn_method="discrete")
    other = Detector(random_model(config)).trace(random_photo(100, 150))
    queries, points, channels, layers = 20, 4 * 9, config.decoder_dim // 4, 3
    spared = layers * queries * points * channels * 4 * 2  # four multiply-adds for each point and channel of its head
    of = [kept.profile["deformable_attention"].flops for kept in (trace, other)]
    assert of[0] - of[1] == spared

"""Forward pass of R18 at 640 x 640 on a CPU: this project against transformers, and traced against untraced.

    python benchmarks/forward.py [--threads 2] [--rounds 12]

All contenders run in turn within each round, so that whatever else the machine does hits all of them alike; the ratios
are medians over the rounds of the ratio within a round. Weights are random, which does not change the time.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
import transformers
from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

from rtdetr_explained.data.images import open_image
from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.detector import Detector
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR

SIDE_PX = 640
WARM_UPS = 3
BASE = "transformers, default"
FUSED = "this project, fused and channels-last"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--rounds", type=int, default=12)
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    photo = generate_scene(0, SceneConfig(size=(SIDE_PX, SIDE_PX))).image
    model = RTDETR(CONFIGS["rtdetrv2_r18vd"]).eval()
    plain, fused = Detector(model, deploy=False), Detector(model)
    peer = transformers_r18()
    image = plain.to_input(open_image(photo), (SIDE_PX, SIDE_PX))
    image_last = image.contiguous(memory_format=torch.channels_last)
    contenders: dict[str, Callable[[], object]] = {
        BASE: lambda: peer(pixel_values=image),
        "this project, as trained": lambda: plain.model(image),
        FUSED: lambda: fused.model(image_last),
        "the same with preprocessing (`detect`)": lambda: fused.detect(photo),
        "the same, traced (`trace`, figures set)": lambda: fused.trace(photo),
        "the same, traced (`trace`, all sites)": lambda: fused.trace(photo, sites="all"),
    }
    ms = run(contenders, arguments.rounds)

    processor = f"{platform.processor() or platform.machine()}, {arguments.threads} threads"
    print(
        f"{processor}, torch {torch.__version__}, transformers {transformers.__version__}, {arguments.rounds} rounds\n"
    )
    print("| forward pass, R18, 640 x 640, batch 1 | median ms | against transformers |\n|---|---|---|")
    for name, times in ms.items():
        print(f"| {name} | {statistics.median(times):.0f} | {ratio(times, ms[BASE]):.2f} |")
    detect, traced = ms["the same with preprocessing (`detect`)"], ms["the same, traced (`trace`, figures set)"]
    trace = fused.trace(photo)
    print(f"\n| trace, figures set | |\n|---|---|\n| time against untraced | {ratio(traced, detect):.2f} |")
    print(f"| memory of the trace | {trace.nbytes / 1e6:.1f} MB |")


def transformers_r18() -> RTDetrV2ForObjectDetection:
    """The peer with the same architecture; everything else at its defaults."""
    # Both classes take options of their base class that a type checker does not see.
    backbone = RTDetrResNetConfig(
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        out_indices=[2, 3, 4],  # pyright: ignore[reportCallIssue]
    )
    config = RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=[128, 256, 512],
        hidden_expansion=0.5,
        decoder_layers=3,
        num_labels=80,  # pyright: ignore[reportCallIssue]
    )
    return RTDetrV2ForObjectDetection(config).eval()


@torch.inference_mode()
def run(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every contender in every round."""
    for contender in contenders.values():
        for _ in range(WARM_UPS):
            contender()
    ms: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            began = time.perf_counter()
            contender()
            ms[name].append(1e3 * (time.perf_counter() - began))
    return ms


def ratio(times: list[float], base: list[float]) -> float:
    """Median over the rounds of time against base."""
    return statistics.median(t / b for t, b in zip(times, base, strict=True))


if __name__ == "__main__":
    main()

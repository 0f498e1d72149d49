"""A training run: how it starts, what of it is saved, and how it goes on from there."""

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from rtdetr_explained.data.augment import multi_scale_sides
from rtdetr_explained.device import best_device
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS, LEVEL_STRIDES, ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.checkpoint import save_checkpoint
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.distributed import ALONE, Processes, distribute, joined_norms
from rtdetr_explained.training.ema import ModelEma
from rtdetr_explained.training.initial import begin, initial_weights
from rtdetr_explained.training.optimizer import parameter_groups
from rtdetr_explained.weights.zoo import ZOO


class TrainingStopped(RuntimeError):
    """The run cannot go on; the message is a sentence, and the last checkpoint is intact."""


@dataclass
class Run:
    """Everything that changes while training; a checkpoint is this, and randomness follows from `seed` and `step`.

    `network` is what images go through: the model, or its wrapper when several processes train it.
    """

    model: RTDETR
    network: nn.Module
    ema: ModelEma[RTDETR]
    optimizer: torch.optim.Optimizer
    seed: int
    scaler: torch.amp.GradScaler
    step: int = 0
    images: int = 0
    skipped: int = 0  # steps whose scaled gradients overflowed float16
    complete: bool = False
    seconds: float = 0.0  # of training, over all resumes


def start_run(config: TrainConfig, class_names: tuple[str, ...], processes: Processes = ALONE) -> Run:
    """A run at step 0: initial weights, their average, and the optimiser."""
    torch.manual_seed(config.seed)
    wanted = model_config(config)
    state = None
    if config.weights:
        wanted, state = initial_weights(config.weights, wanted)
    check_side(wanted, config.multi_scale)
    model = RTDETR(replace(wanted, class_names=class_names))
    if not config.resume:
        lines = begin(model, state, wanted.class_names, config.backbone)
        if processes.first:
            print(*lines, sep="\n", end="\n" if lines else "", file=sys.stderr)
    model = model.to(processes.device(config.device))
    model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    ema = ModelEma(model, config.ema_decay, config.ema_warmup)
    if not config.denoising:
        model.denoising.requires_grad_(False)
    joined_norms(model, processes)
    groups = parameter_groups(model, config.lr, config.weight_decay, config.backbone_lr_factor, config.decay_biases)
    # Betas: configs/rtdetrv2/include/optimizer.yml of lyuwenyu/RT-DETR.
    device = processes.device(config.device).type
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), fused=device != "mps")
    scaler = torch.amp.GradScaler(device, enabled=config.amp == "fp16")
    return Run(model, distribute(model, processes), ema, optimizer, config.seed, scaler)


def settled(config: TrainConfig) -> tuple[TrainConfig, list[str]]:
    """The run with the device that "auto" stands for, and lines that say what else follows from it.

    Recipes made for GPUs ask for fp16. Where "auto" finds no GPU that scales losses, the network runs in float32: half
    precision would only be slower there.
    """
    if config.device != "auto":
        return config, []
    device = best_device()
    if config.amp != "fp16" or device == "cuda":
        return replace(config, device=device), []
    line = f"There is no CUDA device: the run is on {device}, and amp is off instead of fp16."
    return replace(config, device=device, amp="off"), [line]


def model_config(config: TrainConfig) -> ModelConfig:
    """The architecture asked for; raises InputError when there is none of that name."""
    model = CONFIGS.get(config.model) or (ZOO[config.model].architecture if config.model in ZOO else None)
    if model is None:
        raise InputError(f"There is no model {config.model!r}; choose one of {', '.join(ZOO)}.")
    return replace(model, image_size=(config.side, config.side)) if config.side else model


def check_side(model: ModelConfig, multi_scale: bool) -> None:
    """Raise InputError when the smallest input has fewer tokens than queries are to be chosen from them."""
    side = min(model.image_size)
    least = min(multi_scale_sides(side)) if multi_scale else side
    tokens = sum((least // stride) ** 2 for stride in LEVEL_STRIDES)
    if tokens < model.num_queries:
        raise InputError(
            f"{model.name} chooses {model.num_queries} queries, but an input of {least} pixels has only {tokens} "
            "tokens to choose from; give a larger --side."
        )


def checkpoint_path(config: TrainConfig) -> Path:
    """Where a run keeps its one checkpoint."""
    return config.out / "checkpoint.pt"


def save(run: Run, config: TrainConfig) -> None:
    """Write the checkpoint; raises TrainingStopped when the disk refuses, with the previous one in place."""
    path = checkpoint_path(config)
    try:
        save_checkpoint(path, snapshot(run, config))
    except OSError as error:
        advice = "the one before it is intact. Make room and resume." if path.exists() else "choose another folder."
        raise TrainingStopped(
            f"The checkpoint of step {run.step} could not be written to {config.out} ({error.strerror}); {advice}"
        ) from error


def snapshot(run: Run, config: TrainConfig) -> dict:
    """What a checkpoint holds.

    `model_config` lets a reader build the model without knowing the run: class names and input size are in it. Readers
    of weights find the averaged ones under `ema` / `module`, as in an official checkpoint.
    """
    return {
        "model_config": asdict(run.model.config),
        "train_config": {**asdict(config), "out": str(config.out), "seed": run.seed},
        "model": run.model.state_dict(),
        "ema": {"module": run.ema.module.state_dict(), "updates": run.ema.updates},
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.scaler.state_dict(),
        "skipped": run.skipped,
        "step": run.step,
        "images": run.images,
        "seconds": run.seconds,
    }


def restore(run: Run, state: dict, config: TrainConfig) -> None:
    """Continue from a checkpoint, with the seed it began with; raises InputError when it is of another model."""
    saved = ModelConfig(**state["model_config"])
    if replace(saved, image_size=run.model.config.image_size) != run.model.config:
        raise InputError(
            f"The checkpoint in {config.out} is of another model; resume with the same model, weights and data."
        )
    for name in ("denoising", "decay_biases"):  # they decide which parameters the optimiser has, and in which group
        if state["train_config"].get(name) != getattr(config, name):
            raise InputError(
                f"The run in {config.out} began with {name} {'off' if getattr(config, name) else 'on'}; resume it so."
            )
    run.model.load_state_dict(state["model"])
    run.ema.module.load_state_dict(state["ema"]["module"])
    run.ema.updates = state["ema"]["updates"]
    rates = [(group["initial_lr"], group["weight_decay"]) for group in run.optimizer.param_groups]
    run.optimizer.load_state_dict(state["optimizer"])
    for group, (initial_lr, weight_decay) in zip(run.optimizer.param_groups, rates, strict=True):
        group["initial_lr"], group["weight_decay"] = initial_lr, weight_decay  # as now asked for, not as saved
    if state.get("scaler"):  # empty where nothing was scaled
        run.scaler.load_state_dict(state["scaler"])
    run.skipped = state.get("skipped", 0)
    run.seed = state["train_config"]["seed"]
    run.step, run.images, run.seconds = state["step"], state["images"], state["seconds"]

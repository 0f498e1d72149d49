"""The training loop: scenes in, a trained detector out, and no way to lose more than a few minutes of it."""

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from rtdetr_explained.errors import InputError
from rtdetr_explained.evaluation.shapes import evaluate_shapes
from rtdetr_explained.model.config import CONFIGS, ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.model.weights import save_weights
from rtdetr_explained.training.checkpoint import load_checkpoint, save_checkpoint
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.criterion import criterion
from rtdetr_explained.training.data import Batch, ShapesDataset, batches
from rtdetr_explained.training.ema import ModelEma
from rtdetr_explained.training.log import append_row, start_log
from rtdetr_explained.training.optimizer import (
    largest_gradient,
    learning_rate_factor,
    parameter_groups,
    set_learning_rate,
)

KINDS = ("vfl", "bbox", "giou")
PARTS = ("last", "aux", "enc", "dn")
LOG_COLUMNS = ("step", "images", "seconds", "lr", "loss", *KINDS, *PARTS, "grad_norm")
METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR")
EVALUATION_COLUMNS = ("step", "images", "seconds", *METRICS)


class TrainingStopped(RuntimeError):
    """The run cannot go on; the message is a sentence, and the last checkpoint is intact."""


@dataclass
class Run:
    """Everything that changes while training; a checkpoint is this plus the random generators."""

    model: RTDETR
    ema: ModelEma[RTDETR]
    optimizer: torch.optim.Optimizer
    step: int = 0
    images: int = 0
    seconds: float = 0.0  # of training, over all resumes


def train(config: TrainConfig) -> Run:
    """Train as configured, writing checkpoint.pt, log.csv and evaluation.csv into `config.out`.

    A finished run also leaves its averaged weights in float16, named after the model, for `rtdetr_explained.load`.
    Ctrl-C and SIGTERM end the run after the current step with a checkpoint. A resumed run goes on exactly as if it
    had not been interrupted, and may be given more images. Raises TrainingStopped when the loss or a gradient becomes
    NaN or infinite, and InputError for an unknown model or an unusable folder or checkpoint.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    config.out.mkdir(parents=True, exist_ok=True)
    path = checkpoint_path(config)
    if path.exists() and not config.resume:
        raise InputError(f"{path} exists already; add --resume to continue that run, or choose another folder.")
    size = _model_config(config).image_size
    run = start_run(config)
    if config.resume:
        restore(run, load_checkpoint(path), config)
    else:
        save(run, config)  # a folder that cannot be written shows now, not after the first minutes of work
    total_steps = run.step + (config.images - run.images) // config.batch

    log, evaluations = config.out / "log.csv", config.out / "evaluation.csv"
    start_log(log, LOG_COLUMNS, run.step)
    start_log(evaluations, EVALUATION_COLUMNS, run.step)
    saved = time.monotonic()
    data = batches(ShapesDataset(size), run.images, config.images, config.batch, config.workers)
    bar = tqdm(total=config.images, initial=run.images, unit="img", mininterval=1 if sys.stderr.isatty() else 30)
    with stop_signals() as stop_asked, bar:
        began = time.monotonic()
        for batch in data:
            row = train_step(run, batch, config, total_steps)
            now = time.monotonic()
            run.seconds, began = run.seconds + now - began, now
            where = {"step": run.step, "images": run.images, "seconds": run.seconds}
            append_row(log, LOG_COLUMNS, {**where, **row})
            bar.set_postfix({k: f"{row[k]:.3g}" for k in ("loss", *KINDS)}, refresh=False)
            bar.update(config.batch)
            last = run.step == total_steps
            if last or _crosses(config.evaluate_every, run.images, config.batch):
                metrics = evaluate_shapes(run.ema.module, range(config.evaluate_scenes), size, config.batch)
                known = {name: metrics[name] for name in METRICS}
                append_row(evaluations, EVALUATION_COLUMNS, {**where, **known})
                bar.write(f"{run.images} images: " + ", ".join(f"{k} {_text(v)}" for k, v in known.items()))
                began = time.monotonic()
            if last or stop_asked() or time.monotonic() - saved > 60 * config.checkpoint_minutes:
                save(run, config)
                saved = time.monotonic()
            if stop_asked():
                bar.write(f"Stopped at step {run.step}, {run.images} images; the checkpoint is in {path}.")
                break
    if run.step == total_steps:
        average = run.ema.module
        save_weights(config.out / f"{config.model}.safetensors", average.state_dict(), average.config, torch.float16)
    return run


def train_step(run: Run, batch: Batch, config: TrainConfig, total_steps: int) -> dict[str, float]:
    """One step: forward, losses, backward, clip, update, average. Returns what `log.csv` holds of it."""
    device = torch.device(config.device)
    images = batch.images.to(device).to(torch.float32, memory_format=torch.channels_last) / 255
    targets = [{name: value.to(device) for name, value in target.items()} for target in batch.targets]
    factor = learning_rate_factor(run.step, total_steps, config.warmup, config.flat_fraction)
    set_learning_rate(run.optimizer, factor)

    run.model.train()
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.bf16):
        outputs = run.model(images, targets)
    try:
        terms = criterion(outputs, targets)
    except FloatingPointError as error:
        raise TrainingStopped(_stop_message(run, batch, str(error), "the step before, after clipping")) from error
    loss = torch.stack(list(terms.values())).sum()
    if not loss.isfinite():
        bad = ", ".join(name for name, term in terms.items() if not term.isfinite())
        raise TrainingStopped(
            _stop_message(run, batch, f"The loss is not finite ({bad}).", "the step before, after clipping")
        )
    run.optimizer.zero_grad(set_to_none=True)  # not earlier: the message above reads the last step's gradients
    loss.backward()
    try:
        norm = nn.utils.clip_grad_norm_(run.model.parameters(), config.clip, error_if_nonfinite=True)
    except RuntimeError as error:
        raise TrainingStopped(_stop_message(run, batch, "A gradient is not finite.", "this step")) from error
    run.optimizer.step()
    run.ema.update(run.model)
    run.step += 1
    run.images += len(batch.images)
    return {"lr": config.lr * factor, "loss": loss.item(), **summed(terms), "grad_norm": norm.item()}


def summed(terms: dict[str, Tensor]) -> dict[str, float]:
    """The loss terms added up twice: by kind (vfl, bbox, giou) and by part (last, aux, enc, dn)."""
    values = dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))
    sums: dict[str, float] = dict.fromkeys((*KINDS, *PARTS), 0.0)
    for name, value in values.items():  # loss_vfl, loss_vfl_aux_0, …
        _, kind, *suffix = name.split("_")
        sums[kind] += value
        sums[suffix[0] if suffix else "last"] += value
    return sums


def start_run(config: TrainConfig) -> Run:
    """A run at step 0: initial weights, their average, and the optimiser."""
    model = RTDETR(_model_config(config)).to(config.device)
    model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    ema = ModelEma(model, config.ema_decay, config.ema_warmup)
    groups = parameter_groups(model, config.lr, config.weight_decay, config.backbone_lr_factor, config.decay_biases)
    return Run(model, ema, torch.optim.AdamW(groups, betas=(0.9, 0.999), fused=config.device != "mps"))


def checkpoint_path(config: TrainConfig) -> Path:
    """Where a run keeps its one checkpoint."""
    return config.out / "checkpoint.pt"


def save(run: Run, config: TrainConfig) -> None:
    """Write the checkpoint; raises TrainingStopped when the disk refuses, with the previous one in place."""
    try:
        save_checkpoint(checkpoint_path(config), snapshot(run, config))
    except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
        raise TrainingStopped(
            f"The checkpoint of step {run.step} could not be written to {config.out} ({error}); the one before it is "
            "intact. Make room and resume."
        ) from error


def snapshot(run: Run, config: TrainConfig) -> dict:
    """What a checkpoint holds. `model_config` lets its reader build the model without knowing the run."""
    return {
        "model_config": asdict(run.model.config),
        "train_config": {**asdict(config), "out": str(config.out)},
        "model": run.model.state_dict(),
        "ema": {"module": run.ema.module.state_dict(), "updates": run.ema.updates},
        "optimizer": run.optimizer.state_dict(),
        "step": run.step,
        "images": run.images,
        "seconds": run.seconds,
    }


def restore(run: Run, state: dict, config: TrainConfig) -> None:
    """Continue from a checkpoint; raises InputError when it belongs to another model or has seen all the images."""
    saved = ModelConfig(**state["model_config"])
    if replace(saved, image_size=run.model.config.image_size) != run.model.config:
        raise InputError(f"The checkpoint in {config.out} is of another model; resume with the same --model.")
    if state["images"] + config.batch > config.images:
        raise InputError(
            f"The run in {config.out} has seen all its {state['images']} images; give more --images to go on."
        )
    run.model.load_state_dict(state["model"])
    run.ema.module.load_state_dict(state["ema"]["module"])
    run.ema.updates = state["ema"]["updates"]
    rates = [(group["initial_lr"], group["weight_decay"]) for group in run.optimizer.param_groups]
    run.optimizer.load_state_dict(state["optimizer"])
    for group, (initial_lr, weight_decay) in zip(run.optimizer.param_groups, rates, strict=True):
        group["initial_lr"], group["weight_decay"] = initial_lr, weight_decay  # as now asked for, not as saved
    run.step, run.images, run.seconds = state["step"], state["images"], state["seconds"]


@contextmanager
def stop_signals() -> Iterator:
    """Turn Ctrl-C and SIGTERM into a question: within the block, the function given tells whether one has come."""
    came = []
    before = {s: signal.signal(s, lambda number, frame: came.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _model_config(config: TrainConfig) -> ModelConfig:
    if config.model not in CONFIGS:
        raise InputError(f"There is no model {config.model!r}; choose one of {', '.join(CONFIGS)}.")
    model = CONFIGS[config.model]
    return replace(model, image_size=(config.side, config.side)) if config.side else model


def _crosses(every: int, images: int, batch: int) -> bool:
    """Whether the last batch reached a multiple of `every` images."""
    return every > 0 and images // every > (images - batch) // every


def _text(metric: float | None) -> str:
    return "none" if metric is None else f"{metric:.3f}"


def _stop_message(run: Run, batch: Batch, what: str, when: str) -> str:
    name, size = largest_gradient(run.model)
    largest = f"{size:.3g} in {name}" if math.isfinite(size) else f"not finite, first in {name}"
    return (
        f"Training stopped at step {run.step + 1} on {', '.join(batch.names)}: {what} Largest gradient of {when}: "
        f"{largest}. The last checkpoint is kept; resume it with a lower learning rate."
    )

"""One step of training: forward, losses, backward, clip, update, average."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdetr_explained.data.augment import multi_scale_sides
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.criterion import criterion
from rtdetr_explained.training.data import Batch
from rtdetr_explained.training.distributed import ALONE, Processes, is_lost_process, mean_over_processes
from rtdetr_explained.training.optimizer import largest_gradient, learning_rate_factor, set_learning_rate
from rtdetr_explained.training.run import Run, TrainingStopped

KINDS = ("vfl", "bbox", "giou")
PARTS = ("last", "aux", "enc", "dn")
BEFORE, THIS = "the step before, after clipping", "this step"


def train_step(
    run: Run,
    batch: Batch,
    config: TrainConfig,
    total_steps: int,
    multi_scale: bool = False,
    processes: Processes = ALONE,
) -> dict[str, float]:
    """One step; returns what `log.csv` holds of it, over the images of all processes.

    Raises TrainingStopped when something is NaN or infinite, or when another process is gone.
    """
    try:
        return _train_step(run, batch, config, total_steps, multi_scale, processes)
    except TrainingStopped:
        raise
    except RuntimeError as error:
        if not is_lost_process(error):
            raise
        raise TrainingStopped(
            f"Training stopped at step {run.step + 1}: another process of this run has ended or cannot be reached. "
            "The last checkpoint is kept; start the same command again with --resume."
        ) from error


def _train_step(
    run: Run, batch: Batch, config: TrainConfig, total_steps: int, multi_scale: bool, processes: Processes
) -> dict[str, float]:
    device = next(run.model.parameters()).device
    images = batch.images.to(device).to(torch.float32, memory_format=torch.channels_last) / 255
    if multi_scale:
        images = rescaled(images, run.seed, run.step)
    targets = [{name: value.to(device) for name, value in target.items()} for target in batch.targets]
    factor = learning_rate_factor(run.step, total_steps, config.warmup, config.flat_fraction)
    set_learning_rate(run.optimizer, factor)

    run.network.train()
    # Denoising noise follows from seed and step, so that a resumed run draws the same; each process draws its own.
    torch.manual_seed(int(np.random.default_rng([run.seed, 2, run.step, processes.rank]).integers(2**63)))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.bf16):
        outputs = run.network(images, targets if config.denoising else None)
    try:
        terms = criterion(outputs, targets)
    except FloatingPointError as error:
        raise TrainingStopped(_stop_message(run, batch, str(error), BEFORE)) from error
    loss = torch.stack(list(terms.values())).sum()
    if not loss.isfinite():
        bad = ", ".join(name for name, term in terms.items() if not term.isfinite())
        raise TrainingStopped(_stop_message(run, batch, f"The loss is not finite ({bad}).", BEFORE))
    run.optimizer.zero_grad(set_to_none=True)  # not earlier: the message above reads the last step's gradients
    loss.backward()
    try:
        norm = nn.utils.clip_grad_norm_(run.model.parameters(), config.clip, error_if_nonfinite=True)
    except RuntimeError as error:
        raise TrainingStopped(_stop_message(run, batch, "A gradient is not finite.", THIS)) from error
    run.optimizer.step()
    run.ema.update(run.model)
    run.step += 1
    run.images += config.batch
    names, values = list(terms), mean_over_processes(torch.stack([term.detach() for term in terms.values()]))
    sums = summed(dict(zip(names, values, strict=True)))
    return {"lr": config.lr * factor, "loss": values.sum().item(), **sums, "grad_norm": norm.item()}


def rescaled(images: Tensor, seed: int, step: int) -> Tensor:
    """A batch (B, 3, H, W) in a random size, the same in all processes; boxes are relative and stay.

    Both sides are scaled alike, to multiples of 32, by taking the nearest pixel as the published recipes do.
    """
    height, width = images.shape[2:]
    side = int(np.random.default_rng([seed, 3, step]).choice(multi_scale_sides(height)))
    return F.interpolate(images, size=(side, max(32, round(width * side / height / 32) * 32)), mode="nearest")


def summed(terms: dict[str, Tensor]) -> dict[str, float]:
    """The loss terms added up twice: by kind (vfl, bbox, giou) and by part (last, aux, enc, dn)."""
    values = dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))
    sums: dict[str, float] = dict.fromkeys((*KINDS, *PARTS), 0.0)
    for name, value in values.items():  # loss_vfl, loss_vfl_aux_0, …
        _, kind, *suffix = name.split("_")
        sums[kind] += value
        sums[suffix[0] if suffix else "last"] += value
    return sums


def _stop_message(run: Run, batch: Batch, what: str, when: str) -> str:
    name, size = largest_gradient(run.model)
    largest = f"{size:.3g} in {name}" if math.isfinite(size) else f"not finite, first in {name}"
    return (
        f"Training stopped at step {run.step + 1} on {', '.join(batch.names)}: {what} Largest gradient of {when}: "
        f"{largest}. The last checkpoint is kept; resume it with a lower learning rate."
    )

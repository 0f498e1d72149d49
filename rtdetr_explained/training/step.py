"""One step of training: forward, losses, backward, clip, update, average."""

import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdetr_explained.data.augment import multi_scale_sides
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.criterion import criterion
from rtdetr_explained.training.data import Batch
from rtdetr_explained.training.distributed import ALONE, Processes, mean_over_processes
from rtdetr_explained.training.optimizer import largest_gradient, learning_rate_factor, set_learning_rate
from rtdetr_explained.training.run import Run, TrainingStopped

KINDS = ("vfl", "bbox", "giou")
PARTS = ("last", "aux", "enc", "dn")
MAX_NAMED = 8  # images in a message
BEFORE, THIS = "the step before, after clipping", "this step"
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
LEAST_SCALE = 1.0  # of the loss; gradients that overflow even so are wrong. Without scaling it is always 1.


def train_step(
    run: Run,
    batch: Batch,
    config: TrainConfig,
    total_steps: int,
    multi_scale: bool = False,
    processes: Processes = ALONE,
) -> dict[str, float]:
    """One step; returns what `log.csv` holds of it, over the images of all processes.

    Raises TrainingStopped when something is NaN or infinite.
    """
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
    with torch.autocast(device.type, dtype=HALF.get(config.amp), enabled=config.amp in HALF):
        outputs = run.network(images, targets if config.denoising else None)
    try:
        terms = criterion(outputs, targets)
    except FloatingPointError as error:
        raise stopped(run, batch, str(error), BEFORE, config.out) from error
    loss = torch.stack(list(terms.values())).sum()
    if not loss.isfinite():
        bad = ", ".join(name for name, term in terms.items() if not term.isfinite())
        raise stopped(run, batch, f"The loss is not finite ({bad}).", BEFORE, config.out)
    run.optimizer.zero_grad(set_to_none=True)  # not earlier: the message above reads the last step's gradients
    run.scaler.scale(loss).backward()
    run.scaler.unscale_(run.optimizer)
    try:
        norm = nn.utils.clip_grad_norm_(run.model.parameters(), config.clip, error_if_nonfinite=True).item()
    except RuntimeError as error:
        # Scaled gradients may overflow float16: such a step is left out, and `update` halves the scale.
        if run.scaler.get_scale() <= LEAST_SCALE:
            raise stopped(run, batch, "A gradient is not finite.", THIS, config.out) from error
        norm = math.inf
        run.skipped += 1
    else:
        run.scaler.step(run.optimizer)
    run.scaler.update()
    run.ema.update(run.model)
    run.step += 1
    run.images += config.batch
    names, values = list(terms), mean_over_processes(torch.stack([term.detach() for term in terms.values()]))
    sums = summed(dict(zip(names, values, strict=True)))
    return {"lr": config.lr * factor, "loss": values.sum().item(), **sums, "grad_norm": norm}


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


def stopped(run: Run, batch: Batch, what: str, when: str, folder: Path) -> TrainingStopped:
    """The error that ends a run: step, images and largest gradient in words; a long list of images goes to a file."""
    name, size = largest_gradient(run.model)
    largest = f"{size:.3g} in {name}" if math.isfinite(size) else f"not finite, first in {name}"
    images = ", ".join(batch.names)
    if len(batch.names) > MAX_NAMED:
        file = folder / "stopped.txt"
        with suppress(OSError):  # a disk that is full as well must not hide the reason
            file.write_text("\n".join(batch.names) + "\n", encoding="utf-8")
            images = f"{', '.join(batch.names[:MAX_NAMED])} and {len(batch.names) - MAX_NAMED} more (all in {file})"
    return TrainingStopped(
        f"Training stopped at step {run.step + 1} on {images}: {what} Largest gradient of {when}: {largest}. "
        "The last checkpoint is kept; resume it with a lower learning rate."
    )

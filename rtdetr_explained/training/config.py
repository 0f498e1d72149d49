"""Everything that fixes a training run."""

from dataclasses import dataclass
from pathlib import Path

from rtdetr_explained.errors import InputError


@dataclass(frozen=True)
class TrainConfig:
    """A training run; the defaults suit `nano` on a two-core CPU.

    `images` is the length of the run, counted over all resumes; `side` the input size in pixels (0: the model's own).
    The learning rate rises over `warmup` steps, stays flat until `flat_fraction` of the run and then falls along a
    cosine. `ema_warmup` is in steps: the average spans about e^(step / ema_warmup) steps, at most 1 / (1 − ema_decay).
    `bf16` runs the network, never the losses, in bfloat16. `evaluate_every` is in images; 0 evaluates at the end only.
    """

    out: Path
    model: str = "nano"
    images: int = 60_000
    batch: int = 16
    side: int = 0
    lr: float = 4e-4
    backbone_lr_factor: float = 1.0
    weight_decay: float = 1e-4
    decay_biases: bool = False
    warmup: int = 300
    flat_fraction: float = 0.5
    clip: float = 0.5
    ema_decay: float = 0.9995
    ema_warmup: float = 500.0
    seed: int = 0
    device: str = "cpu"
    bf16: bool = False
    threads: int = 2
    workers: int = 1
    checkpoint_minutes: float = 5.0
    evaluate_every: int = 5_000
    evaluate_scenes: int = 200
    resume: bool = False

    def __post_init__(self) -> None:
        for name in ("images", "batch", "threads", "evaluate_scenes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a whole number of at least 1.")
        if self.images < self.batch:
            raise InputError(f"{self.images} images do not fill one batch of {self.batch}; give more images.")
        if self.side < 0 or self.side % 32:
            raise InputError(f"side is {self.side} pixels; give a multiple of 32.")
        for name in ("lr", "clip", "ema_warmup", "checkpoint_minutes"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; give a number above 0.")
        for name in ("flat_fraction", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a number from 0 to 1.")

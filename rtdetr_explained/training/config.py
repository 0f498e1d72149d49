"""Everything that fixes a training run: the fields are the options of `train` and the keys of its TOML files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtdetr_explained.errors import InputError

LENGTHS = ("epochs", "steps", "images")
AMP = ("off", "bf16", "fp16")


def option(default: Any, text: str) -> Any:
    """A field with its help text."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TrainConfig:
    """A training run; the defaults are for a small model on a two-core CPU, the recipes hold those of each model.

    The length is one of `epochs`, `steps` and `images`, counted over all resumes. The learning rate rises over `warmup`
    steps, stays flat until `flat_fraction` of the run and then falls along a cosine. The average of the weights spans
    about e^(step / ema_warmup) steps, at most 1 / (1 − ema_decay). Raises InputError for a value out of range.
    """

    out: Path = field(metadata={"help": "folder of the run: checkpoint, logs, plot and, at the end, the weights"})
    name: str = option("", "name of the weights file that is left, without suffix; by default that of the folder")
    model: str = option("nano", "architecture, a name from `models`")
    weights: str = option("", "weights to begin with: a name from `models` or a file; by default random ones")
    backbone: str = option("", "file of a trained backbone to begin with, such as one trained on ImageNet")
    data: str = option(
        "shapes",
        "shapes (generated scenes), a COCO JSON file, a Pascal VOC folder, the data.yaml of YOLO labels, or a list or "
        "folder of one of these: ImageSets/Main/train.txt",
    )
    val: str = option("", "data to evaluate on, given like --data; by default only shapes are evaluated")
    val_images: str = option("", "folder of its pictures, found by itself where usual")
    folder: str = option("", "folder of the pictures, the same as --images FOLDER")
    strict: bool = option(False, "stop at the first mistake in the data instead of counting it")
    epochs: int = option(0, "length of the run in passes over the data")
    steps: int = option(0, "length of the run in steps of one batch")
    images: int = option(0, "length of the run in images; or the folder of the pictures, found by itself where usual")
    batch: int = option(16, "images per step, over all processes together")
    side: int = option(0, "side of the input in pixels, a multiple of 32; 0 is the model's own")
    augment: bool = option(True, "change colours of photographs, zoom out and crop; they are always flipped")
    zoom_side: float = option(4.0, "largest side of the canvas of zooming out, in sides of the photograph; 1 for none")
    multi_scale: bool = option(False, "another input size for each batch, 0.75 to 1.25 of the side")
    weak_epochs: int = option(0, "last epochs without augmentation (but the flip) and multi-scale")
    denoising: bool = option(True, "train with contrastive denoising queries")
    lr: float = option(4e-4, "learning rate")
    backbone_lr_factor: float = option(1.0, "factor on the learning rate of the backbone")
    weight_decay: float = option(1e-4, "weight decay, never of normalisation layers")
    decay_biases: bool = option(False, "let the biases of all other layers decay")
    warmup: int = option(300, "steps over which the learning rate rises")
    flat_fraction: float = option(0.5, "part of the run after which the learning rate falls; 1 never")
    clip: float = option(0.5, "largest norm of the gradient")
    ema_decay: float = option(0.9995, "share that the average of the weights keeps at each step")
    ema_warmup: float = option(500.0, "steps over which that share rises")
    seed: int = option(0, "seed of everything random")
    device: str = option("cpu", "cpu, cuda, mps, or auto: the best that is there")
    amp: str = option("off", "run the network, never the losses, in half precision: bf16, fp16 (scaled losses) or off")
    threads: int = option(2, "CPU threads of the network")
    workers: int = option(
        1, "processes that prepare images, for each process that trains; 0 prepares them between the steps"
    )
    checkpoint_minutes: float = option(5.0, "minutes between two checkpoints")
    evaluate_every: int = option(5_000, "images between two evaluations; 0 evaluates at the end only")
    evaluate_images: int = option(200, "held-out images to evaluate on during training")
    resume: bool = option(False, "continue the run in that folder")

    def __post_init__(self) -> None:
        for name in ("batch", "threads", "evaluate_images"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a whole number of at least 1.")
        for name in ("weak_epochs", "workers", "warmup", "seed", "evaluate_every", *LENGTHS):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; give a whole number that is not negative.")
        given = [name for name in LENGTHS if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) + " are given" if given else "no length is given"
            raise InputError(f"A run needs one of epochs, steps or images, but {found}; give exactly one.")
        if self.images and self.images < self.batch:
            raise InputError(f"{self.images} images do not fill one batch of {self.batch}; give more images.")
        if not set("/\\\0").isdisjoint(self.name):
            raise InputError(f"name is {self.name!r}; give a file's name without folder, such as birds.")
        if self.weights and self.backbone:
            raise InputError("The weights given hold a backbone already; leave out --backbone, or --weights.")
        if self.amp not in AMP:
            raise InputError(f"amp is {self.amp!r}; give one of {', '.join(AMP)}.")
        if self.amp == "fp16" and self.device == "mps":
            raise InputError("fp16 is not for mps, where losses cannot be scaled; use bf16.")
        if self.side < 0 or self.side % 32:
            raise InputError(f"side is {self.side} pixels; give a multiple of 32.")
        for name in ("lr", "clip", "ema_warmup", "checkpoint_minutes"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; give a number above 0.")
        if not self.zoom_side >= 1:
            raise InputError(f"zoom_side is {self.zoom_side}; give a number of at least 1.")
        for name in ("weight_decay", "backbone_lr_factor"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; give a number that is not negative.")
        for name in ("flat_fraction", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a number from 0 to 1.")

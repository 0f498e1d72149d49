"""What fixes the denoising experiment: the fields are the options of its command."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from rtdetr_explained.errors import InputError
from rtdetr_explained.experiments.result import ARMS
from rtdetr_explained.training.config import TrainConfig, option
from rtdetr_explained.training.recipe import read_recipe

FREE = ("out", "threads", "workers")  # may change on a resume: they do not change the answer


@dataclass(frozen=True)
class Settings:
    """An experiment. What is not named here is as in the recipe of `nano`; raises InputError for a value out of range.

    The defaults suit two CPU cores: half an hour to an hour of training for both arms together.
    """

    out: Path = field(metadata={"help": "folder of the experiment"})
    images: int = option(12_800, "images that each arm trains on")
    epochs: int = option(16, "equal parts of them, after each of which both arms are measured")
    batch: int = option(16, "images per step")
    side: int = option(192, "side of the input in pixels, a multiple of 32")
    seed: int = option(0, "seed of the weights and of the noise")
    evaluate_images: int = option(200, "held-out scenes to measure on")
    model: str = option("nano", "architecture, a name from `models`")
    threads: int = option(2, "CPU threads of the network")
    workers: int = option(1, "processes that prepare images; 0 prepares them between the steps")

    def __post_init__(self) -> None:
        if self.epochs < 2:
            raise InputError(f"epochs is {self.epochs}; give at least 2, so that there is a change to measure.")
        if self.side < 32:
            raise InputError(f"side is {self.side} pixels; give a multiple of 32.")
        for arm in ARMS:
            self.arm(arm)  # checks the rest
        if self.images % (self.epochs * self.batch):
            raise InputError(
                f"{self.images} images cannot be parted into {self.epochs} epochs of whole batches of {self.batch}; "
                f"give a multiple of {self.epochs * self.batch}."
            )

    def arm(self, name: str) -> TrainConfig:
        """The run of one arm; the arms differ in `denoising` and in their folder."""
        own = {name: getattr(self, name) for name in ("model", "images", "batch", "side", "seed", "evaluate_images")}
        return TrainConfig(
            **read_recipe("nano") | own,
            out=self.out / name,
            denoising=name == ARMS[0],
            threads=self.threads,
            workers=self.workers,
            evaluate_every=0,  # the end of each epoch is enough
        )

    def epoch_end(self, epoch: int) -> int:
        """Images that each arm has seen after an epoch, counted from 1."""
        return self.images // self.epochs * epoch

    def fixed(self) -> dict[str, int | str]:
        """The settings that all parts of one experiment must share."""
        return {name: value for name, value in asdict(self).items() if name not in FREE}

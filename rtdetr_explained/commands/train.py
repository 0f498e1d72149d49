"""`rtdetr-explained train`: train or fine-tune a model on generated scenes or annotated pictures."""

import argparse
import errno
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rtdetr_explained.commands.options import need
from rtdetr_explained.errors import InputError
from rtdetr_explained.training.config import LENGTHS, TrainConfig

if TYPE_CHECKING:
    from rtdetr_explained.training.run import Run

DESCRIPTION = """Train a model, or fine-tune one with --weights; its classes become those of the data. What is not given
here comes from --config, and what is not there from the published recipe of the model. Under torchrun all processes
share each batch."""
SHORT = {"out": "-o"}
DISK_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command, with one option for each setting of a run."""
    command = commands.add_parser("train", help="train or fine-tune a model", description=DESCRIPTION)
    command.add_argument(
        "--config", metavar="FILE|NAME", help="a TOML file of settings, or a recipe: nano, r18, r50, …"
    )
    for field in fields(TrainConfig):
        names = [*filter(None, [SHORT.get(field.name)]), "--" + field.name.replace("_", "-")]
        text = field.metadata["help"] + _default(field)
        if field.type is bool:
            kind: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        else:
            kind = {"type": str if field.name == "images" else field.type, "metavar": _metavar(field)}
        command.add_argument(*names, default=argparse.SUPPRESS, help=text, **kind)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train; 1 for a run that had to stop."""
    need("scipy", "faster_coco_eval")
    from rtdetr_explained.training.loop import train
    from rtdetr_explained.training.run import TrainingStopped

    try:
        finished: Run = train(settings(options))
    except TrainingStopped as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:  # from a log, the plot or the weights; checkpoints have a message of their own
        if error.errno not in DISK_REFUSES:
            raise
        file = error.filename or "A file of the run"
        print(f"{file} could not be written ({error.strerror}); after mending that, add --resume.", file=sys.stderr)
        return 1
    if finished.skipped:
        print(f"{finished.skipped} steps were left out: their scaled gradients overflowed float16.", file=sys.stderr)
    return 0 if finished.complete else 130


def settings(options: argparse.Namespace) -> TrainConfig:
    """What was given, over what the TOML file says, over the recipe of the model, over the defaults."""
    from rtdetr_explained.training.recipe import read_recipe, recipe_of

    given = {field.name: getattr(options, field.name) for field in fields(TrainConfig) if hasattr(options, field.name)}
    if not given.get("images", "0").isdecimal():
        given["folder"] = given.pop("images")
    elif "images" in given:
        given["images"] = int(given["images"])
    file = read_recipe(options.config) if options.config else {}
    values = recipe_of((file | given).get("model", TrainConfig.model))
    for source in (file, given):
        if any(name in source for name in LENGTHS):
            values = {name: value for name, value in values.items() if name not in LENGTHS}
        values |= source
    if "out" not in values:
        raise InputError("A run needs a folder to write to; give one with --out FOLDER.")
    return TrainConfig(**values)


def _default(field: Any) -> str:
    if field.name in ("out", *LENGTHS) or field.type is bool or field.default == "":
        return ""
    return f"; default {field.default}"


def _metavar(field: Any) -> str:
    if field.name == "images":
        return "N|FOLDER"
    return {int: "N", float: "X"}.get(field.type, "FOLDER" if field.name == "out" else "TEXT")

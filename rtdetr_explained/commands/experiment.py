"""`rtdetr-explained experiment denoising`: the same training twice, with denoising and without, and the two curves."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from rtdetr_explained.commands.options import need
from rtdetr_explained.errors import InputError
from rtdetr_explained.experiments.settings import Settings

DESCRIPTION = """Train a small model twice from the same seed on the same generated scenes, with denoising queries and
without, and draw loss, AP and the instability of the matching. Ctrl-C stops with a checkpoint; the same command with
--resume goes on."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its one experiment."""
    experiment = commands.add_parser("experiment", help="answer a question about the training by training")
    questions = experiment.add_subparsers(required=True, metavar="EXPERIMENT")
    command = questions.add_parser("denoising", help="train with and without denoising", description=DESCRIPTION)
    for field in fields(Settings):
        text, name = field.metadata["help"], "--" + field.name.replace("_", "-")
        if field.name == "out":
            command.add_argument("-o", name, type=Path, required=True, metavar="FOLDER", help=text)
        else:
            metavar = "N" if field.type is int else "NAME"
            text += "; default %(default)s"
            command.add_argument(name, type=field.type, default=field.default, metavar=metavar, help=text)
    command.add_argument("--resume", action="store_true", help="go on with the experiment in that folder")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the experiment; 130 when it was stopped, 1 when it cannot go on."""
    need("scipy", "faster_coco_eval")
    from rtdetr_explained.experiments.denoising import is_finished, run_experiment
    from rtdetr_explained.experiments.result import caption, read_result
    from rtdetr_explained.training.run import TrainingStopped

    settings = Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
    if is_finished(settings):
        print(f"The experiment in {settings.out} is finished; its result is denoising.json and denoising.svg there.")
        return 0
    try:
        if not run_experiment(settings, options.resume):
            return 130
    except TrainingStopped as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        raise InputError(f"The experiment cannot be written to {settings.out}: {error.strerror or error}.") from None
    print(caption(read_result(settings.out / "denoising.json")))
    return 0

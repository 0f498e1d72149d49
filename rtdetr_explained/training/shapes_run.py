"""Train on generated scenes: `python -m rtdetr_explained.training.shapes_run --out FOLDER`."""

import argparse
import sys
from dataclasses import MISSING, fields

from rtdetr_explained.errors import InputError
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.loop import TrainingStopped, train


def parse(arguments: list[str] | None = None) -> TrainConfig:
    """One option per field of TrainConfig, with its default."""
    parser = argparse.ArgumentParser(prog="shapes_run", description=__doc__)
    for field in fields(TrainConfig):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(option, action="store_true")
        elif field.default is MISSING:
            parser.add_argument(option, type=field.type, required=True)
        else:
            parser.add_argument(option, type=field.type, default=field.default, help=f"default {field.default}")
    return TrainConfig(**vars(parser.parse_args(arguments)))


def main() -> int:
    """Train; the exit code is 2 for unusable input and 1 for a run that had to stop."""
    try:
        train(parse())
    except (InputError, TrainingStopped) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

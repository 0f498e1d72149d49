"""What several commands share: the options that choose a model, and what is done before a command starts."""

import argparse
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tqdm import tqdm

from rtdetr_explained.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from rtdetr_explained.data.images import ImageSource
    from rtdetr_explained.data.report import Report
    from rtdetr_explained.detector import Detector

IMAGE = "a JPEG, PNG, WebP or BMP file"
DATA = "a COCO JSON file, a Pascal VOC folder, the data.yaml of YOLO labels, or a list or folder of one of these"


def add_model_options(command: argparse.ArgumentParser) -> None:
    """The options of every command that runs a model."""
    command.add_argument("--model", default="nano", help="a name from `models`, hf:owner/name, or a file of weights")
    command.add_argument("--names", metavar="FILE", help="class names, one a line, for weights that hold none")
    command.add_argument("--device", default="cpu", help="cpu (default), cuda, mps, or auto, the best that is there")


def open_photo(source: "ImageSource") -> "Image.Image":
    """The photo asked for; what had to be mended to read it is said."""
    from rtdetr_explained.data.images import open_image, remarks_of

    photo = open_image(source)
    for remark in remarks_of(photo).values():
        print(remark, file=sys.stderr)
    return photo


def print_lines(report: "Report") -> None:
    """Say on stderr what was wrong with the data."""
    for line in report.lines():
        print(line, file=sys.stderr)


def load_model(options: argparse.Namespace) -> "Detector":
    """The detector asked for, with a progress bar while its weights are downloaded."""
    from rtdetr_explained.loading import load

    with tqdm(unit="B", unit_scale=True, unit_divisor=1000, desc=str(options.model), leave=False, delay=0.2) as bar:
        detector = load(options.model, device=options.device, progress=progress_of(bar), names=options.names)
    for remark in detector.remarks:
        print(remark, file=sys.stderr)
    return detector


def say_missing_letters(names: Iterable[str]) -> None:
    """Say which letters of these names no font has, so that boxes in a picture are understood."""
    from rtdetr_explained.drawing.fonts import sentence

    if missing := sentence(names):
        print(missing, file=sys.stderr)


def progress_of(bar: tqdm) -> Callable[[int, int | None], None]:
    """A download's callback that moves a progress bar."""

    def update(done: int, total: int | None) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return update


def need(*packages: str) -> None:
    """Raise InputError, before anything is loaded, when one of these packages of the extra `train` is missing."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        names = " and ".join(missing).replace("_", "-")
        raise InputError(f"This needs {names}; install it with pip install 'rtdetr-explained[train]'.")

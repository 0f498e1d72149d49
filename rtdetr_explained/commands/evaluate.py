"""`rtdetr-explained evaluate`: how good a model is on generated scenes or annotated pictures."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from rtdetr_explained.commands.options import DATA, add_model_options, load_model, need, print_lines
from rtdetr_explained.data.report import Report
from rtdetr_explained.errors import InputError
from rtdetr_explained.printable import printable

if TYPE_CHECKING:
    from rtdetr_explained.detector import Detector
    from rtdetr_explained.evaluation.finding import Finding
    from rtdetr_explained.training.distributed import Processes

SCENES = 1000


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "evaluate",
        help="measure the accuracy of a model",
        description="Measure average precision and latency. Under torchrun the images are shared among the processes.",
    )
    add_model_options(command)
    command.add_argument(
        "--data",
        required=True,
        metavar="shapes|FILE|FOLDER",
        help=f"generated scenes, {DATA}",
    )
    command.add_argument(
        "--images",
        metavar="FOLDER|N",
        help=f"the folder of the pictures, found by itself where usual; for shapes the number of scenes, {SCENES}",
    )
    command.add_argument("--seed", type=int, metavar="N", help="for shapes: the seed of the first scene, default 0")
    command.add_argument("--strict", action="store_true", help="stop at the first mistake in the data")
    command.add_argument("--json", action="store_true", help="print JSON instead of tables")
    command.add_argument("--out", type=Path, metavar="FILE", help="also write the JSON into this file")
    command.add_argument("--figure", type=Path, metavar="FILE", help="also draw a figure: .svg, .pdf or .png")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluate, and print and write what was asked for."""
    need("faster_coco_eval")
    from rtdetr_explained.evaluation.summary import as_text, summarise
    from rtdetr_explained.training.distributed import joined

    check_outputs(options)
    with joined(options.device) as processes:
        options.device = str(processes.device(options.device))
        report = Report(strict=options.strict)
        detector = load_model(options)
        try:
            findings, data = find_all(options, detector, report, processes)
            if not processes.first:
                return 0
            result = {
                "model": detector.name,
                "weights_hash": detector.weights_hash,
                "data": data,
                "input_size": list(detector.config.image_size),
                "device": str(detector.device),
                **summarise(findings, detector.class_names),
                "problems": report.as_dict(),
            }
            write(result, options)
            print(json.dumps(result, indent=2) if options.json else as_text(result))
        finally:  # where nothing can be used, the problems are the reasons
            if processes.first:
                print_lines(report)
    return 0


def find_all(
    options: argparse.Namespace, detector: "Detector", report: Report, processes: "Processes"
) -> tuple[list["Finding"], str]:
    """What the model finds in every image, and the data in words; in the first process that of all processes."""
    from rtdetr_explained.data.class_matching import match_classes, with_classes
    from rtdetr_explained.data.reading import read_annotations
    from rtdetr_explained.data.shapes import SHAPE_CLASSES
    from rtdetr_explained.evaluation.finding import find
    from rtdetr_explained.evaluation.samples import photo_samples, scene_samples

    size = detector.config.image_size
    own = Report(strict=options.strict)  # of this process, while the other one is the same in all

    def share(items: Any) -> tqdm:
        often = 0.1 if sys.stderr.isatty() else 30  # seconds; a file gets a line now and then
        mine = items[processes.rank :: processes.size]
        return tqdm(mine, unit="img", mininterval=often, disable=not processes.first, leave=False)

    if options.data == "shapes":
        seeds = scene_seeds(options)
        labels = match_classes(SHAPE_CLASSES, detector.class_names)
        samples = scene_samples(share(seeds), size, labels)
        data = f"shapes, seeds {seeds[0]} to {seeds[-1]}"
    else:
        if options.seed is not None:
            raise InputError("--seed belongs to --data shapes; leave it out.")
        path = Path(options.data)
        annotations = read_annotations(path, Path(options.images) if options.images else None, report, "val")
        annotations = with_classes(annotations, detector.class_names, report)
        samples = photo_samples(share(list(enumerate(annotations.images))), own)
        data = printable(path.name)
    shares = gather((list(find(detector.model, samples, size)), own), processes)
    for _, part in shares:
        report.merge(part)
    return sorted((f for part, _ in shares for f in part), key=lambda f: f.number), data


def gather(value: Any, processes: "Processes") -> list[Any]:
    """The values of all processes, in the first one; the others get nothing."""
    if processes.size == 1:
        return [value]
    import torch.distributed as dist

    values = [None] * processes.size if processes.first else None
    dist.gather_object(value, values)
    return values or []


def scene_seeds(options: argparse.Namespace) -> range:
    """The seeds of the scenes asked for; those of the training scenes are refused."""
    from rtdetr_explained.training.data import FIRST_TRAINING_SEED

    text = str(SCENES if options.images is None else options.images)
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--images is {text!r}; with --data shapes give the number of scenes.")
    first, count = options.seed or 0, int(text)
    if not 0 <= first <= FIRST_TRAINING_SEED - count:
        raise InputError(
            f"The scenes {first} to {first + count - 1} are not all held out from training; give seeds from 0 to "
            f"{FIRST_TRAINING_SEED - 1}."
        )
    return range(first, first + count)


def check_outputs(options: argparse.Namespace) -> None:
    """Refuse files that cannot be written before the work is done, not after."""
    from rtdetr_explained.drawing.export import FORMATS

    for path in filter(None, (options.out, options.figure)):
        if not path.parent.is_dir():
            raise InputError(f"The folder {path.parent} does not exist; make it or choose another one.")
    if options.figure and options.figure.suffix[1:] not in FORMATS:
        raise InputError(f"The figure cannot be written to {options.figure.name}; end it in .svg, .pdf or .png.")


def write(result: dict[str, Any], options: argparse.Namespace) -> None:
    """Write the files asked for."""
    from rtdetr_explained.drawing.export import to_bytes
    from rtdetr_explained.evaluation.figure import draw
    from rtdetr_explained.writing import unfinished

    try:
        if options.out:
            with unfinished(options.out) as part:
                part.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        if options.figure:
            with unfinished(options.figure) as part:
                part.write_bytes(to_bytes(draw(result), options.figure.suffix[1:]))
    except OSError as error:
        raise InputError(f"{error.filename} could not be written: {error.strerror or error}.") from None

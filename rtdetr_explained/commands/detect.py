"""`rtdetr-explained detect`: the objects in one image, as a table, as JSON, and drawn."""

import argparse
import json
import sys
from pathlib import Path

from rtdetr_explained.commands.options import IMAGE, add_model_options, load_model, open_photo, say_missing_letters
from rtdetr_explained.model.class_names import SHAPE_CLASSES


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    command = commands.add_parser("detect", help="find objects in an image")
    command.add_argument("image", type=Path, metavar="IMAGE", help=IMAGE)
    add_model_options(command)
    command.add_argument("--threshold", type=probability, default=0.5, help="least score, 0 to 1; default 0.5")
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.add_argument("--out", type=Path, metavar="FILE", help="also draw the boxes into this PNG or JPEG file")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what was found, best first, and draw it when asked to."""
    from rtdetr_explained.illustrations.detections import draw_detections, save_image

    photo = open_photo(options.image)
    detector = load_model(options)
    found = detector.detect(photo, options.threshold)
    if options.out:
        say_missing_letters(d.name for d in found)
        save_image(draw_detections(photo, found), options.out)
    if options.json:
        rows = [{"label": d.name, "score": d.score, "box_px": d.box_px, "query": d.query} for d in found]
        print(json.dumps({"image": str(options.image), "model": detector.name, "detections": rows}, indent=2))
        return 0
    for d in found:
        print(f"{d.score:.2f}  {d.name:<16}" + " ".join(f"{value:7.0f}" for value in d.box_px))
    if not found:
        print(f"Nothing scores above {options.threshold:g}; try a lower --threshold.", file=sys.stderr)
    if detector.class_names == SHAPE_CLASSES:
        print(
            f"{detector.name} knows generated shapes alone; for photographs: --model nano-photo or rtdetrv2_r18vd.",
            file=sys.stderr,
        )
    return 0


def probability(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no score; give a number from 0 to 1")
    return value

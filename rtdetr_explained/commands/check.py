"""`rtdetr-explained check`: what is in annotated pictures and what is wrong with them, before anything is trained."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from rtdetr_explained.commands.options import DATA, print_lines
from rtdetr_explained.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from rtdetr_explained.data.annotations import AnnotatedImage, Annotations
    from rtdetr_explained.data.report import Report

DESCRIPTION = """Read annotations and every picture, as train and evaluate do; print counts, sizes and problems, and
draw nine of the pictures with their boxes, to look at."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    command = commands.add_parser("check", help="look through annotated pictures", description=DESCRIPTION)
    command.add_argument("--data", type=Path, required=True, metavar="FILE|FOLDER", help=DATA)
    command.add_argument("--images", type=Path, metavar="FOLDER", help="folder of the pictures, by itself where usual")
    parts = ("train", "val", "test")
    command.add_argument("--part", choices=parts, default="train", help="of a data.yaml; default %(default)s")
    command.add_argument("--strict", action="store_true", help="stop at the first mistake in the data")
    command.add_argument("--json", action="store_true", help="print JSON instead of tables")
    picture = "where nine pictures are drawn, .png or .jpg; default %(default)s"
    command.add_argument("-o", "--out", type=Path, metavar="FILE", default=Path("check.png"), help=picture)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check, print and draw."""
    from rtdetr_explained.data.reading import read_annotations
    from rtdetr_explained.data.report import Report
    from rtdetr_explained.data.survey import as_text, survey, telling
    from rtdetr_explained.illustrations.contact_sheet import contact_sheet
    from rtdetr_explained.illustrations.detections import check_name, save_image

    check_name(options.out)  # before the work, not after
    report = Report(strict=options.strict)
    try:
        annotations = read_annotations(options.data, options.images, report, options.part)
        annotations = with_pictures(annotations, report)
    except InputError:  # nothing can be used, and the problems are the reasons
        print_lines(report)
        raise
    shown = telling(annotations)
    photos = [draw(image, annotations.class_names) for image in shown]
    save_image(contact_sheet(photos, [image.name for image in shown]), options.out)
    result = {"data": str(options.data), **survey(annotations), "problems": report.as_dict(), "drawn": str(options.out)}
    if options.json:
        print(json.dumps(result, indent=2))
        return 0
    print(as_text(result), "", *(report.lines() or ["No problems were found."]), sep="\n")
    print(f"\n{len(shown)} pictures with their boxes are drawn in {options.out}.")
    return 0


def with_pictures(annotations: "Annotations", report: "Report") -> "Annotations":
    """The annotations of the pictures that can be read; what is wrong with the others goes into the report."""
    from rtdetr_explained.data.annotations import load_photo
    from rtdetr_explained.data.images import remarks_of

    often = 0.1 if sys.stderr.isatty() else 30  # seconds; a file gets a line now and then
    usable = []
    for image in tqdm(annotations.images, unit="img", mininterval=often, leave=False, delay=0.5):
        try:
            photo = load_photo(image)
        except InputError as error:
            report.add("bad_image", str(error))
            continue
        for kind, remark in remarks_of(photo).items():
            report.add(kind, remark)
        usable.append(image)
    annotations = replace(annotations, images=tuple(usable))
    if not annotations.num_objects:
        raise InputError("No picture with an object can be read; choose other data.")
    return annotations


def draw(image: "AnnotatedImage", names: tuple[str, ...]) -> "Image.Image":
    """The picture with its boxes and their classes; ignored ones are grey."""
    import numpy as np
    from PIL import ImageOps

    from rtdetr_explained.boxes import cxcywh_to_xyxy_px
    from rtdetr_explained.data.annotations import load_photo
    from rtdetr_explained.illustrations.contact_sheet import TILE_PX
    from rtdetr_explained.illustrations.detections import draw_boxes

    photo = ImageOps.contain(load_photo(image), TILE_PX)  # first, so that the texts stay readable
    boxes = np.concatenate([image.ignored_boxes, image.boxes])
    labels = [-1] * len(image.ignored_labels) + image.labels.tolist()
    texts = [names[label] for label in [*image.ignored_labels.tolist(), *image.labels.tolist()]]
    return draw_boxes(photo, cxcywh_to_xyxy_px(boxes, photo.size), labels, texts)

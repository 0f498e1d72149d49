"""`rtdetr-explained figures`: the eight illustrations of one image as files."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rtdetr_explained.commands.options import (
    IMAGE,
    add_model_options,
    load_model,
    open_photo,
    say_missing_letters,
)
from rtdetr_explained.drawing.colors import Theme
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.class_names import SHAPE_CLASSES
from rtdetr_explained.printable import printable
from rtdetr_explained.writing import unfinished

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rtdetr_explained.tracing.trace import Trace


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    command = commands.add_parser("figures", help="draw the eight illustrations of an image into files")
    command.add_argument("image", metavar="IMAGE", help=f"{IMAGE}, or `scene:N`, generated scene N")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="where the files go")
    add_model_options(command)
    command.add_argument("--query", type=int, metavar="N", help="the query to follow; the best detection's by default")
    command.add_argument("--format", nargs="+", default=["svg", "png"], metavar="FORMAT", help="svg, pdf, png")
    command.add_argument("--theme", choices=("light", "dark"), default="light")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Trace the image, draw all figures and write them."""
    from rtdetr_explained.drawing.export import FORMATS, to_bytes

    if wrong := [f for f in options.format if f not in FORMATS]:
        raise InputError(f"Figures cannot be written as {wrong[0]!r}; choose among {', '.join(FORMATS)}.")
    scene = scene_of(options.image)
    photo = open_photo(options.image if scene is None else scene.image)
    detector = load_model(options)
    trace = detector.trace(photo)
    query = int(trace.scores.argmax()) if options.query is None else options.query
    if scene is not None and detector.class_names == SHAPE_CLASSES:
        boxes, labels = scene.boxes, scene.labels
    else:  # without true objects, the best detections stand in for them
        best = trace.scores.argsort()[::-1][:8]
        boxes, labels = trace.boxes[best], trace.labels[best]
    denoising = detector.trace_denoising(trace, boxes, labels)
    say_missing_letters(trace.class_names[label] for label in {*trace.labels.tolist(), *labels.tolist()})
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for slug, figure in draw_all(trace, denoising, query, options.theme).items():
            for kind in options.format:
                path = options.out / f"{slug}.{kind}"
                with unfinished(path) as part:
                    part.write_bytes(to_bytes(figure, kind))
                print(printable(path))
    except OSError as error:
        raise InputError(f"The figures cannot be written to {options.out}: {error.strerror or error}.") from None
    return 0


def draw_all(trace: "Trace", denoising: "Trace", query: int, theme: Theme) -> "dict[str, Figure]":
    """The eight matplotlib figures by slug, following one query."""
    from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
    from rtdetr_explained.illustrations import picture
    from rtdetr_explained.tracing.choice import choose
    from rtdetr_explained.tracing.sites import STAGES

    choices = dict.fromkeys(STAGES, choose(trace, query=query)) | {"denoising": choose(denoising)}
    return {slug: to_matplotlib(picture(slug, choice).drawing, theme) for slug, choice in choices.items()}


def scene_of(name: str):
    """The generated scene that `scene:N` names, or None for a file's name."""
    if not name.startswith("scene:"):
        return None
    from rtdetr_explained.data.shapes import generate_scene

    number = name.removeprefix("scene:")
    if not number.isdigit():
        raise InputError(f"{name!r} names no scene; give scene: and a whole number, such as scene:7.")
    return generate_scene(int(number))

"""The command line, `rtdetr-explained COMMAND`. Bad input: one sentence and exit code 2."""

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from rtdetr_explained.commands import evaluate, experiment, figures, train
from rtdetr_explained.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except InputError as error:
        print(error, file=sys.stderr)
    except KeyError as error:  # an unknown site
        print(error.args[0], file=sys.stderr)
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 2


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="rtdetr-explained", description="RT-DETRv2, explained in eight stages.")
    top.add_argument("--version", action="version", version=f"%(prog)s {version('rtdetr-explained')}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    app = commands.add_parser("app", help="open the app in the browser")
    app.add_argument("--port", type=port, default=8501, help="default 8501")
    app.add_argument("--headless", action="store_true", help="do not open a browser window")
    app.set_defaults(run=run_app)

    detect = commands.add_parser("detect", help="find objects in an image")
    add_model_options(detect)
    detect.add_argument("--threshold", type=probability, default=0.5, help="least score, 0 to 1; default 0.5")
    detect.add_argument("--json", action="store_true", help="print JSON instead of a table")
    detect.add_argument("--out", type=Path, metavar="FILE", help="also draw the boxes into this PNG or JPEG file")
    detect.set_defaults(run=run_detect)

    trace = commands.add_parser("trace", help="record everything the network computes for an image")
    add_model_options(trace)
    trace.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
    trace.add_argument(
        "--sites",
        nargs="+",
        default=["figures"],
        metavar="SITE",
        help="figures (default), all, or names with * in them",
    )
    trace.set_defaults(run=run_trace)

    models = commands.add_parser("models", help="list the models that can be loaded by name")
    models.add_argument("--json", action="store_true", help="print JSON instead of a table")
    models.set_defaults(run=run_models)

    figures.add_to(commands)
    evaluate.add_to(commands)
    train.add_to(commands)
    experiment.add_to(commands)
    return top


def add_model_options(command: argparse.ArgumentParser) -> None:
    """The options of every command that runs a model on an image."""
    command.add_argument("image", type=Path, metavar="IMAGE", help="a JPEG, PNG, WebP or BMP file")
    command.add_argument("--model", default="nano", help="a name from `models`, or a .pth or .safetensors file")
    command.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")


def run_app(options: argparse.Namespace) -> int:
    """Serve the app from a checkout or from the installed package, in this process, until it is stopped."""
    package = Path(__file__).parent
    root = next((p for p in (package / "_app", package.parent) if (p / "streamlit_app.py").is_file()), None)
    if root is None:
        raise InputError("The app's files are missing from this installation; install rtdetr-explained again.")
    os.chdir(root)  # Streamlit reads the theme from .streamlit/config.toml in the working directory
    sys.path.insert(0, str(root))
    # The one place where the library starts the app; elsewhere it knows nothing of Streamlit.
    from streamlit.web import cli as streamlit

    threading.Thread(target=prepare_app, daemon=True).start()
    arguments = ["run", "streamlit_app.py", "--server.port", str(options.port)]
    if options.headless:
        arguments += ["--server.headless", "true"]
    streamlit.main(arguments, prog_name="rtdetr-explained app", standalone_mode=False)
    return 0


def prepare_app() -> None:
    """Import what the first page needs and trace its image while the server starts and the browser opens."""
    from app import shell

    shell.prepare()


def run_detect(options: argparse.Namespace) -> int:
    """Print what was found, best first, and draw it when asked to."""
    from rtdetr_explained.data.images import open_image
    from rtdetr_explained.illustrations.detections import draw_detections, save_image

    photo = open_image(options.image)
    detector = load_model(options)
    found = detector.detect(photo, options.threshold)
    if options.out:
        save_image(draw_detections(photo, found), options.out)
    if options.json:
        rows = [{"label": d.name, "score": d.score, "box_px": d.box_px, "query": d.query} for d in found]
        print(json.dumps({"image": str(options.image), "model": detector.name, "detections": rows}, indent=2))
        return 0
    for d in found:
        print(f"{d.score:.2f}  {d.name:<16}" + " ".join(f"{value:7.0f}" for value in d.box_px))
    if not found:
        print(f"Nothing scores above {options.threshold:g}; try a lower --threshold.", file=sys.stderr)
    if detector.name == "nano":
        print(
            "nano knows only generated shapes; photographs need the COCO weights: --model rtdetrv2_r18vd",
            file=sys.stderr,
        )
    return 0


def run_trace(options: argparse.Namespace) -> int:
    """Write the trace and say what is in it."""
    detector = load_model(options)
    trace = detector.trace(options.image, options.sites)
    trace.save(options.out)
    print(f"{options.out}: {len(list(trace))} of {len(trace.sites())} sites with values, {trace.nbytes / 1e6:.1f} MB")
    return 0


def run_models(options: argparse.Namespace) -> int:
    """List the table of models."""
    from rtdetr_explained.weights.zoo import ZOO

    if options.json:
        rows = [
            {
                "name": e.name,
                "title": e.title,
                "parameters": e.parameters,
                "AP": e.ap,
                "classes": e.classes,
                "url": e.url,
            }
            for e in ZOO.values()
        ]
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'name':<24}{'parameters':>11}{'COCO AP':>9}{'file':>9}  classes")
    for e in ZOO.values():
        ap = f"{e.ap:.1f}" if e.ap else "–"
        file = f"{e.megabytes} MB" if e.url else "embedded"
        print(f"{e.name:<24}{e.parameters / 1e6:>9.1f} M{ap:>9}{file:>9}  {e.classes}")
    return 0


def load_model(options: argparse.Namespace):
    """The detector asked for, with a progress bar while its weights are downloaded."""
    from rtdetr_explained.loading import load

    with tqdm(unit="B", unit_scale=True, unit_divisor=1000, desc=str(options.model), leave=False, delay=0.2) as bar:
        return load(options.model, device=options.device, progress=progress_of(bar))


def progress_of(bar: tqdm) -> Callable[[int, int | None], None]:
    """A download's callback that moves a progress bar."""

    def update(done: int, total: int | None) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return update


def port(text: str) -> int:
    """A TCP port."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)


def probability(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no score; give a number from 0 to 1")
    return value


if __name__ == "__main__":
    raise SystemExit(main())

"""`rtdetr-explained trace`: everything the network computes for one image, as a file."""

import argparse
from pathlib import Path

from rtdetr_explained.commands.options import IMAGE, add_model_options, load_model, open_photo
from rtdetr_explained.printable import printable


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    command = commands.add_parser("trace", help="record everything the network computes for an image")
    command.add_argument("image", type=Path, metavar="IMAGE", help=IMAGE)
    add_model_options(command)
    command.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
    sites = "figures (default), all, or names with * in them"
    command.add_argument("--sites", nargs="+", default=["figures"], metavar="SITE", help=sites)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the trace and say what is in it."""
    photo = open_photo(options.image)
    trace = load_model(options).trace(photo, options.sites)
    trace.save(options.out)
    kept = f"{len(list(trace))} of {len(trace.sites())} sites with values"
    print(f"{printable(options.out)}: {kept}, {trace.nbytes / 1e6:.1f} MB")
    return 0

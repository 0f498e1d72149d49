"""`rtdetr-explained models`: the models that can be loaded by name."""

import argparse
import json


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its option."""
    command = commands.add_parser("models", help="list the models that can be loaded by name")
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the table of models."""
    from rtdetr_explained.weights.zoo import ZOO

    if options.json:
        keys = {"name": "name", "title": "title", "parameters": "parameters", "AP": "ap", "classes": "classes"}
        rows = [{key: getattr(e, field) for key, field in (keys | {"url": "url"}).items()} for e in ZOO.values()]
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'name':<24}{'parameters':>11}{'COCO AP':>9}{'file':>9}  classes")
    for e in ZOO.values():
        ap = f"{e.ap:.1f}" if e.ap else "–"
        file = f"{e.megabytes} MB" if e.url else "embedded"
        print(f"{e.name:<24}{e.parameters / 1e6:>9.1f} M{ap:>9}{file:>9}  {e.classes}")
    return 0

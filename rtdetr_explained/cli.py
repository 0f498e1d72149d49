"""The command line, `rtdetr-explained COMMAND`. Bad input: one sentence and exit code 2."""

import argparse
import os
import sys
from importlib.metadata import version
from io import TextIOWrapper

from rtdetr_explained.commands import app, check, detect, evaluate, experiment, figures, models, trace, train
from rtdetr_explained.errors import InputError
from rtdetr_explained.printable import printable

COMMANDS = (app, detect, trace, models, figures, check, evaluate, train, experiment)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):  # a name in letters that this terminal lacks is no reason to fail
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except InputError as error:
        print(error, file=sys.stderr)
    except KeyError as error:  # an unknown site
        print(printable(error.args[0]), file=sys.stderr)
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
    for command in COMMANDS:
        command.add_to(commands)
    return top


if __name__ == "__main__":
    raise SystemExit(main())

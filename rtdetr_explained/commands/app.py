"""`rtdetr-explained app`: the interactive pages, served from this process."""

import argparse
import os
import sys
import threading
from pathlib import Path

from rtdetr_explained.errors import InputError


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    command = commands.add_parser("app", help="open the app in the browser")
    command.add_argument("--port", type=port, default=8501, help="default 8501")
    command.add_argument("--headless", action="store_true", help="do not open a browser window")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve the app from a checkout or from the installed package, in this process, until it is stopped."""
    package = Path(__file__).parents[1]
    root = next((p for p in (package / "_app", package.parent) if (p / "streamlit_app.py").is_file()), None)
    if root is None:
        raise InputError("The app's files are missing from this installation; install rtdetr-explained again.")
    os.chdir(root)  # Streamlit reads the theme from .streamlit/config.toml in the working directory
    sys.path.insert(0, str(root))
    # The one place where the library starts the app; elsewhere it knows nothing of Streamlit.
    from streamlit.web import cli as streamlit

    threading.Thread(target=prepare, daemon=True).start()
    arguments = ["run", "streamlit_app.py", "--server.port", str(options.port)]
    if options.headless:
        arguments += ["--server.headless", "true"]
    streamlit.main(arguments, prog_name="rtdetr-explained app", standalone_mode=False)
    return 0


def prepare() -> None:
    """Import what the first page needs and trace its image while the server starts and the browser opens."""
    from app import shell

    shell.prepare()


def port(text: str) -> int:
    """A TCP port."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)

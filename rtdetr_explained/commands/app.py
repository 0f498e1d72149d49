"""`rtdetr-explained app`: the interactive pages, served from this process."""

import argparse
import os
import re
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from rtdetr_explained.commands.hosts import KnownHosts
from rtdetr_explained.errors import InputError

OPEN_FILES = "RTDETR_EXPLAINED_OPEN_FILES"
"""Environment variable that tells the pages, with "1", that their visitors may name files of this computer."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "app",
        help="open the app in the browser",
        description="Serve the app for this computer alone, or for others with --public or --host.",
    )
    command.add_argument("--port", type=port, default=8501, help="default 8501")
    command.add_argument("--headless", action="store_true", help="do not open a browser window")
    command.add_argument(
        "--public", action="store_true", help="also serve other computers, under every address of this"
    )
    command.add_argument(
        "--host",
        type=name_of_host,
        action="append",
        default=[],
        metavar="NAME",
        help="a name that the app is served under, such as that of a proxy before it; may be given several times",
    )
    command.add_argument(
        "--open-files",
        action=argparse.BooleanOptionalAction,
        help="whether weights files of this computer may be named on the page; yes without --public and --host",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve the app from a checkout or from the installed package, in this process, until it is stopped."""
    package = Path(__file__).parents[1]
    root = next((p for p in (package / "_app", package.parent) if (p / "streamlit_app.py").is_file()), None)
    if root is None:
        raise InputError("The app's files are missing from this installation; install rtdetr-explained again.")
    for_others = options.public or bool(options.host)
    if for_others and options.open_files:
        raise InputError(
            "Strangers must not open files of this computer; leave out --open-files, or --public and --host."
        )
    os.environ[OPEN_FILES] = str(int(not for_others if options.open_files is None else options.open_files))
    # Before the server is up, and again when it has closed. At once, since an interpreter that takes itself apart while
    # the thread of `prepare` is inside of torch is aborted.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: os._exit(0))
    os.chdir(root)  # Streamlit reads the theme from .streamlit/config.toml in the working directory
    sys.path.insert(0, str(root))
    sys.argv = ["streamlit_app.py"]  # what Streamlit takes for the program
    serve(root / "streamlit_app.py", options)
    return 0


def serve(script: Path, options: argparse.Namespace) -> None:
    """Run Streamlit's server. The one place where the library starts it; elsewhere it knows nothing of Streamlit."""
    from starlette.middleware import Middleware
    from streamlit.starlette import App

    threading.Thread(target=prepare, daemon=True).start()
    names = [*options.host, *((socket.gethostname(), f"{socket.gethostname()}.local") if options.public else ())]
    config: dict[str, Any] = {"server.port": options.port, "server.headless": True}
    if options.public:
        print("Served to everybody who can reach this computer; nobody can open its files on the page.", flush=True)
    else:
        config["server.address"] = "127.0.0.1"
    App(
        script,
        lifespan=None if options.headless else opening(f"http://localhost:{options.port}"),
        middleware=[Middleware(KnownHosts, names=names, addresses=options.public)],
    ).run(config=config)


def opening(url: str) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """What opens a browser window when the server starts; its socket is there already, so the browser waits for it."""

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        yield

    return lifespan


def prepare() -> None:
    """Import what the first page needs and trace its image while the server starts and the browser opens."""
    from app import shell

    shell.prepare()


def port(text: str) -> int:
    """A TCP port."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)


def name_of_host(text: str) -> str:
    """A host's name alone."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", text.lower()):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a host; give one such as detr.example.org")
    return text.lower()

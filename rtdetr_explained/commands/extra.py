"""The packages of the extra `train`, which only some commands need."""

from importlib.util import find_spec

from rtdetr_explained.errors import InputError


def need(*packages: str) -> None:
    """Raise InputError, before anything is loaded, when one of these packages is not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        names = " and ".join(missing).replace("_", "-")
        raise InputError(f"This needs {names}; install it with pip install 'rtdetr-explained[train]'.")

"""Settings of a run from TOML files: the user's own, and the recipes that come with the package."""

import difflib
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from rtdetr_explained.errors import InputError
from rtdetr_explained.training.config import TrainConfig

RECIPES = Path(__file__).parent / "recipes"
toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


def recipe_names() -> list[str]:
    """The recipes of the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def recipe_of(model: str) -> dict[str, Any]:
    """The settings of the recipe for an architecture; none when there is no recipe for it."""
    found = (read_recipe(name) for name in recipe_names())
    return next((values for values in found if values["model"] == model), {})


def read_recipe(name: str) -> dict[str, Any]:
    """The settings in a recipe of the package, by its name, or in a TOML file; the keys are fields of TrainConfig.

    Raises InputError for a file that cannot be read, an unknown key, or a value of another type.
    """
    path = RECIPES / f"{name}.toml" if name in recipe_names() else Path(name)
    try:
        values = toml.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        known = ", ".join(recipe_names())
        raise InputError(f"{path} cannot be read ({error.strerror}); give a TOML file or one of {known}.") from None
    except ValueError as error:  # also what text in another encoding raises
        raise InputError(f"{path.name} is not valid TOML: {error}.") from None
    types = {field.name: field.type for field in fields(TrainConfig)}
    return {key: _checked(key, value, types, path.name) for key, value in values.items()}


def _checked(key: str, value: Any, types: dict[str, Any], file: str) -> Any:
    if key not in types:
        close = difflib.get_close_matches(key, types, n=3) or sorted(types)
        raise InputError(f"{file} sets {key!r}, which is no setting; did you mean {', '.join(close)}?")
    wanted = types[key]
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is Path and isinstance(value, str):
        return Path(value)
    if type(value) is not wanted:
        name = {int: "a whole number", float: "a number", bool: "true or false"}.get(wanted, "a text in quotes")
        raise InputError(f"{file} sets {key} to {value!r}; give {name}.")
    return value

"""Checks of what a reader chose to see."""

from __future__ import annotations

from rtdetr_explained.errors import InputError


def check_choice(what: str, index: int, count: int) -> int:
    """The index, when `what` ("layer", "head", "group") has one of that number; raises InputError otherwise."""
    if not 0 <= index < count:
        raise InputError(f"There is no {what} {index}; choose one from 0 to {count - 1}.")
    return index

"""What tables, charts and components say, which comes from a browser and may be anything; `state.change` checks values.

A table or a chart calls back with what is picked in it, a component with the value of a trigger.
"""

from __future__ import annotations

from typing import Any

import streamlit as st


def message(key: str, trigger: str) -> dict[str, Any]:
    """The fields that a component sent; none where it sent anything else."""
    return _dict(_dict(st.session_state.get(key)).get(trigger))


def picked_row(key: str, count: int) -> int | None:
    """The row that is picked in a table of `count` rows."""
    row = _first(_picked(key).get("rows"))
    return row if type(row) is int and 0 <= row < count else None


def picked_mark(key: str) -> Any:
    """The custom data of the marker that is picked in a chart, or the first of them."""
    data = _dict(_first(_picked(key).get("points"))).get("customdata")
    return _first(data) if isinstance(data, list | tuple) else data


def _picked(key: str) -> dict[str, Any]:
    return _dict(_dict(st.session_state.get(key)).get("selection"))


def _dict(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and value else None

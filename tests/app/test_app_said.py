"""What a browser says by tables, charts and components, true or made up."""

from types import SimpleNamespace

import pytest

from app.session import said

NONSENSE = [None, True, 3, "x", [], ["query"], {}, {"selection": 1}, {"selection": {"rows": "0", "points": {"x": 1}}}]


@pytest.fixture
def say(monkeypatch):
    """Make the widget "key" say something."""
    return lambda value: monkeypatch.setattr(said, "st", SimpleNamespace(session_state={"key": value}))


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_says_nothing(say, value):
    say(value)
    assert said.message("key", "pick") == {}
    assert said.picked_row("key", 5) is None
    assert said.picked_mark("key") is None
    say({"pick": value if isinstance(value, list) else None})
    assert said.message("key", "pick") == {}


def test_what_is_said_is_heard(say):
    say({"pick": {"query": 4}})
    assert said.message("key", "pick") == {"query": 4}
    say({"selection": {"rows": [4], "points": [{"customdata": [7, 8]}]}})
    assert said.picked_row("key", 5) == 4
    assert said.picked_mark("key") == 7
    say({"selection": {"rows": [], "points": [{"customdata": 7}]}})
    assert said.picked_row("key", 5) is None
    assert said.picked_mark("key") == 7


@pytest.mark.parametrize("row", [5, -1, True, "0", 1.0, None])
def test_a_row_that_is_not_there_is_not_picked(say, row):
    say({"selection": {"rows": [row]}})
    assert said.picked_row("key", 5) is None

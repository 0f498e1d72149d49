"""What the map of the model tells of each stage: its share of the time, as a bar and in percent."""

import re
from dataclasses import replace
from typing import Any

import pytest

from app.components import pipeline_map
from rtdetr_explained.tracing.trace import Trace


@pytest.fixture
def stages(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """By slug what is sent to the browser, for a pass of 200 ms."""
    times = {"backbone": 100.0, "aifi": 20.0, "ccff": 30.0, "query_selection": 8.0, "decoder": 24.0}
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(pipeline_map, "_strip", lambda data, **rest: sent.append(data))
    monkeypatch.setattr(pipeline_map.state, "link", lambda slug: f"/{slug}")
    timed = replace(trace, times_ms=times | {"deformable_attention": 18.0})
    pipeline_map.show("aifi", timed, lambda slug: None)
    assert sent[0]["current"] == "aifi"
    return {stage["slug"]: stage for stage in sent[0]["stages"]}


def test_bars_and_percents_are_the_shares_of_the_time(stages: dict[str, dict[str, Any]]) -> None:
    """Deformable attention is a part of its decoder, which takes 24 + 18 ms with it."""
    shares = {"backbone": 50, "aifi": 10, "ccff": 15, "query_selection": 4, "decoder": 21, "deformable_attention": 9}
    for slug, percent in shares.items():
        assert stages[slug]["share"] == pytest.approx(percent / 100)
        assert stages[slug]["percent"] == f"{percent}%"
        assert re.search(rf"\b{2 * percent}\.0 ms, {percent}%", stages[slug]["hint"])
    for slug in ("overview", "denoising"):
        assert (stages[slug]["share"], stages[slug]["percent"]) == (0, "")


def test_shapes_are_those_of_the_trace(trace: Trace, stages: dict[str, dict[str, Any]]) -> None:
    for slug, site in (("backbone", "backbone.s5"), ("decoder", "decoder.boxes")):
        assert stages[slug]["shape"].replace(",", "") == "×".join(map(str, trace[site].shape))

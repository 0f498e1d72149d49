"""The map of the pipeline: what share of the time each stage has."""

from typing import Any

import pytest

from app.components import pipeline_map
from rtdetr_explained.tracing.trace import Trace


def test_deformable_attention_is_a_part_of_its_decoder(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}
    monkeypatch.setattr(pipeline_map, "_strip", lambda **values: sent.update(values["data"]))
    monkeypatch.setattr(pipeline_map.state, "link", lambda slug: slug)
    pipeline_map.show("decoder", trace, lambda slug: None)
    shares = {stage["slug"]: stage["share"] for stage in sent["stages"]}
    assert 0 < shares["deformable_attention"] < shares["decoder"]
    part = shares.pop("deformable_attention")
    assert sum(shares.values()) == pytest.approx(1)
    assert part == pytest.approx(trace.times_ms["deformable_attention"] / sum(trace.times_ms.values()))

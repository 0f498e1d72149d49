"""Names of classes are text of strangers on every page: no page stops, and none of them is taken for Markdown."""

from __future__ import annotations

import re

import pytest
from hostile import save_hostile_model

from app.widgets.text import plain
from rtdetr_explained.tracing.sites import STAGES

NAMES = tuple(f":red[x{i}] **y** $_{i}$ <script>" for i in range(4))
DIRECTIVES = re.compile(r"(?<!\\):red\[|(?<!\\)\$_|(?<!\\)<script>|(?<!\\)\*\*y|(?<!\\)\$\\frac|\]\(javascript")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_hostile_model(tmp_path_factory.mktemp("model") / "hostile.safetensors", NAMES))


@pytest.mark.parametrize("slug", STAGES)
def test_pages_show_them_as_text(open_app, monkeypatch, model, slug):
    monkeypatch.setenv("RTDETR_EXPLAINED_OPEN_FILES", "1")
    at = open_app(slug, image="scene-3-few", depth="figure")
    at.text_input(key="weights_file").set_value(model).run()
    for slider in [s for s in at.slider if s.key == "threshold"]:
        slider.set_value(0.0).run()
    assert not at.exception
    assert not at.error
    assert at.session_state["view"].model.startswith("file")
    parsed = [element.value for kind in ("markdown", "caption", "warning", "info") for element in at.get(kind)]
    assert [text for text in parsed if DIRECTIVES.search(text)] == []


@pytest.mark.parametrize("text", [":red[x]", "$_$", "<b>", "**y**", "[l](javascript:1)", ":material/delete:", "a~b~"])
def test_plain_leaves_nothing_to_parse(text):
    assert not re.search(r"(?<!\\)[:$<*\[\]()~]", plain(text))

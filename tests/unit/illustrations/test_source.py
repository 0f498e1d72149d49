"""The model's own code on the pages."""

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import rtdetr_explained
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.source import CODE, listings
from rtdetr_explained.tracing.sites import STAGES

PARENT = Path(rtdetr_explained.__file__).parents[1]


def test_every_stage_shows_code():
    assert tuple(CODE) == STAGES


@pytest.mark.parametrize("slug", STAGES)
def test_listings_are_the_lines_of_the_files(slug):
    found = listings(slug)
    assert 3 <= len(found) <= 6
    for listing in found:
        ast.parse(listing.code)
        lines = (PARENT / listing.path).read_text().splitlines()
        part = lines[listing.first_line - 1 : listing.last_line]
        assert [line.strip() for line in part] == [line.strip() for line in listing.code.splitlines()]
        assert listing.title.split(".")[-1] in part[0]


def test_every_tensor_is_named_by_some_code(trace):
    named = {site.name for slug in STAGES for listing in listings(slug) for site in listing.sites(trace)}
    without_denoising = {site.name for site in trace.sites()}
    assert named == without_denoising


def test_a_stages_code_names_its_tensors_in_order(trace):
    (forward, *_) = listings("ccff")
    assert [site.name.rsplit(".", 1)[1] for site in forward.sites(trace)] == ["t5", "f4", "t4", "n3", "n4", "n5"]
    assert any(fnmatchcase("decoder.layers.1.boxes", call) for call in listings("decoder")[0].calls)


def test_the_backbone_shown_is_the_one_that_runs():
    resnet = {listing.title for listing in listings("backbone")}
    lite = {listing.title for listing in listings("backbone", "efficientnet_lite0")}
    assert "ResNetVd.forward" in resnet
    assert {"EfficientNetLite0.forward", "InvertedResidual"} < lite
    assert not resnet & lite
    assert listings("ccff", "efficientnet_lite0") == listings("ccff")
    named = [call.rsplit(".", 1)[1] for call in listings("backbone", "efficientnet_lite0")[0].calls]
    assert [name for name in named if name != "stem"] == ["stem_map", "s2", "s3", "s4", "s5"]


def test_an_unknown_stage_is_said():
    with pytest.raises(InputError, match="no stage 'neck'"):
        listings("neck")

import re
from dataclasses import replace

import pytest
import torch

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights.zoo import EMBEDDED, ZOO, find

PUBLISHED = [entry for entry in ZOO.values() if entry.url]


def test_every_configuration_can_be_loaded_by_its_name() -> None:
    assert set(CONFIGS) <= set(ZOO)
    assert {name: entry.config for name, entry in ZOO.items() if name in CONFIGS} == {name: name for name in CONFIGS}


@pytest.mark.parametrize("entry", ZOO.values(), ids=ZOO)
def test_the_parameter_count_is_that_of_the_model(entry) -> None:
    method = "discrete" if entry.discrete else "default"
    config = replace(CONFIGS[entry.config], num_points=entry.num_points, cross_attn_method=method)
    with torch.device("meta"):
        model = RTDETR(config)
    # Frozen stems and offsets stay parameters, they only are not trained.
    assert sum(p.numel() for p in model.parameters()) == entry.parameters


def test_published_models_come_from_the_official_releases() -> None:
    pattern = r"https://github\.com/lyuwenyu/storage/releases/download/v0\.[12]/r?rtdetrv2_\w+(48\.1)?\.pth"
    for entry in PUBLISHED:
        assert entry.url
        assert re.fullmatch(pattern, entry.url)
        assert entry.url.endswith("/" + entry.filename)
        assert ("_dsp_" in entry.filename) == entry.discrete
        assert entry.licence == "Apache-2.0"
        assert entry.ap is not None
        assert entry.ap50 is not None
        assert 47 < entry.ap < 55 < entry.ap50 < 73
    assert len({entry.filename for entry in PUBLISHED}) == len(PUBLISHED) == 12


def test_a_known_hash_comes_with_a_size() -> None:
    for entry in PUBLISHED:
        assert (entry.sha256 is None) == (entry.size is None)
        if entry.sha256:
            assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert find("rtdetrv2_r18vd").megabytes == 81


@pytest.mark.parametrize("name", ["nano", "nano-photo"])
def test_two_models_are_inside_the_package(name: str) -> None:
    entry = find(name)
    assert entry.url is None
    path = EMBEDDED / entry.filename
    assert path.parts[-3:] == ("rtdetr_explained", "weights", f"{name}.safetensors")
    assert abs(path.stat().st_size / 1e6 - entry.megabytes) < 0.5
    assert path.stat().st_size < 11e6


def test_an_unknown_name_is_answered_with_close_ones() -> None:
    with pytest.raises(InputError, match=r"no model named 'rtdetrv2_r18'.*rtdetrv2_r18vd"):
        find("rtdetrv2_r18")
    with pytest.raises(InputError, match="nano"):
        find("yolo")

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from random_models import TINY, random_model, random_photo

import rtdetr_explained as rx
from rtdetr_explained import loading
from rtdetr_explained.data.shapes import SHAPE_CLASSES, generate_scene
from rtdetr_explained.errors import InputError
from rtdetr_explained.loading import load
from rtdetr_explained.model.config import CONFIGS, ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.tracing.trace import Trace
from rtdetr_explained.weights.files import expected_tensors
from rtdetr_explained.weights.saving import save_official, save_weights
from rtdetr_explained.weights.zoo import ZOO


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "cutlery.safetensors"
    save_weights(path, random_model().state_dict(), TINY)
    return path


@pytest.mark.parametrize("as_text", [True, False])
def test_a_weights_file_becomes_a_detector(weights: Path, trace: Trace, as_text: bool) -> None:
    detector = load(str(weights) if as_text else weights)
    assert detector.name == "cutlery"
    assert detector.class_names == TINY.class_names
    assert detector.trace(random_photo(100, 150), sites="all", size=(96, 128)).same_numbers(trace)


def test_an_official_file_becomes_a_detector(tmp_path: Path) -> None:
    path = tmp_path / "cutlery.v2.pth"
    save_official(path, random_model().state_dict(), TINY)
    detector = load(path)
    assert detector.name == "cutlery.v2"
    assert detector.trace(random_photo(100, 150), size=(192, 256)).logits.shape == (300, 5)


def test_the_embedded_model_needs_nothing_and_finds_shapes() -> None:
    detector = rx.load()
    assert detector.name == "nano"
    assert detector.class_names == SHAPE_CLASSES
    scene = generate_scene(123)
    found = detector.detect(scene.image, threshold=0.5)
    assert {d.label for d in found} & set(scene.labels.tolist())


def test_a_name_goes_before_a_file_in_the_working_directory(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nano").write_text("not the weights")
    shutil.copy(weights, tmp_path / "nano.safetensors")
    monkeypatch.setattr(loading, "EMBEDDED", tmp_path)
    detector = load("nano")
    assert detector.name == "nano"
    assert detector.config == TINY


def test_a_published_name_is_fetched(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple] = []

    def fetch(*arguments: object) -> Path:
        asked.append(arguments)
        return weights

    monkeypatch.setattr(loading, "fetch", fetch)
    told: list[int] = []
    detector = load("rtdetrv2_r18vd", cache_dir=tmp_path, progress=lambda done, total: told.append(done))
    entry = ZOO["rtdetrv2_r18vd"]
    assert detector.name == "rtdetrv2_r18vd"
    (arguments,) = asked
    assert arguments[:5] == (entry.url, entry.filename, entry.sha256, entry.size, tmp_path)
    arguments[5](3, 4)
    assert told == [3]


def test_deploy_can_be_left_out(weights: Path) -> None:
    kinds = {deploy: {type(m) for m in load(weights, deploy=deploy).model.modules()} for deploy in (True, False)}
    assert torch.nn.BatchNorm2d not in kinds[True]
    assert torch.nn.BatchNorm2d in kinds[False]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nanno", "There is no model named 'nanno'; did you mean nano"),
        ("rtdetrv2_r19vd", "There is no model named 'rtdetrv2_r19vd'; did you mean rtdetrv2_r"),
        ("", "There is no model named ''; did you mean "),
    ],
)
def test_an_unknown_name_is_refused_with_the_closest_ones(name: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        load(name)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_a_missing_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"missing{suffix}"
    with pytest.raises(InputError, match=re.escape(f"There is no file {path}; give the path of RT-DETR weights")):
        load(path)


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.pth"
    path.write_text("These are no weights.")
    with pytest.raises(InputError, match=r"notes\.pth is no readable checkpoint"):
        load(path)


@pytest.mark.parametrize("device", ["warp", "", "cpu:x", "cuda:99", "mps:7"])
def test_a_device_that_is_not_there_is_refused(weights: Path, device: str) -> None:
    message = f"The device {device!r} cannot be used on this machine; use 'cpu'."
    with pytest.raises(InputError, match=re.escape(message)):
        load(weights, device=device)


def test_the_package_offers_its_names_at_the_top() -> None:
    assert rx.load is load
    assert rx.Trace is Trace
    assert rx.InputError is InputError
    assert rx.edits.drop_query(3).query == 3
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        _ = rx.lod  # type: ignore[attr-defined]


@pytest.mark.parametrize("config", [TINY, CONFIGS["rtdetrv2_r50vd"]])  # the second has frozen norms
def test_the_expected_tensors_are_those_of_a_model_that_was_built(config: ModelConfig) -> None:
    built, expected = RTDETR(config).state_dict(), expected_tensors(config)
    assert list(expected) == list(built)
    assert all(expected[name].shape == tensor.shape for name, tensor in built.items())
    assert all(expected[name].dtype == tensor.dtype for name, tensor in built.items())


def test_loading_leaves_the_compiler_alone() -> None:
    code = (
        "import sys, rtdetr_explained as rx; rx.load('nano'); print(*({'torch._dynamo', 'sympy'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == ""

"""Files as other programs write them: one row per kind, made here, with the value that must come out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import rtdetr_explained as rx
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights.files import load_weights
from rtdetr_explained.weights.saving import save_weights, to_official, to_transformers

TINY = ModelConfig(
    "custom",
    width=8,
    hidden_dim=16,
    encoder_ffn_dim=24,
    expansion=1.0,
    decoder_dim=32,
    decoder_ffn_dim=40,
    num_heads=4,
    num_layers=2,
    class_names=("class 0", "class 1", "class 2"),
    image_size=(64, 96),
    num_queries=20,
)


@pytest.fixture(scope="module")
def tiny() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return RTDETR(TINY).state_dict()


@pytest.fixture(scope="module")
def official(tiny: dict[str, Tensor]) -> dict[str, Tensor]:
    return to_official(tiny, TINY)


WRAPPED: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "published": lambda s: {"ema": {"module": s, "updates": 9}},
    "trained (lyuwenyu/RT-DETR)": lambda s: {"model": {n: t * 0 for n, t in s.items()}, "ema": {"module": s}},
    "Lightning": lambda s: {"state_dict": {f"model.{n}": t for n, t in s.items()}, "epoch": 3},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer": {"lr": 1.0}},
    "ema_state_dict first": lambda s: {"state_dict": {n: t * 0 for n, t in s.items()}, "ema_state_dict": s},
    "DataParallel": lambda s: {f"module.{n}": t for n, t in s.items()},
    "compiled": lambda s: {f"_orig_mod.{n}": t for n, t in s.items()},
    "compiled in DataParallel in a class": lambda s: {f"module._orig_mod.model.{n}": t for n, t in s.items()},
    "best score as a number of NumPy": lambda s: {"model": s, "best": np.float64(0.4), "epoch": np.int64(7)},
    "a number of NumPy among the tensors": lambda s: {**s, "best": np.float32(0.4)},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_same_weights_in_every_wrapping(
    kind: str, tiny: dict[str, Tensor], official: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(WRAPPED[kind](official), tmp_path / "w.pth")
    config, state, remarks = load_weights(tmp_path / "w.pth")
    assert (config.num_layers, config.num_heads, config.image_size) == (2, 4, (64, 96))
    assert all(torch.equal(state[name], tensor) for name, tensor in tiny.items())
    assert any("row by row" in remark for remark in remarks)  # the input is no square


def test_a_missing_denoising_embedding_is_said_and_denoising_refused(
    official: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({n: t for n, t in official.items() if "denoising" not in n}, tmp_path / "w.pth")
    detector = rx.load(tmp_path / "w.pth")
    assert any("denoising" in remark for remark in detector.remarks)
    trace = detector.trace(np.zeros((64, 96, 3), np.uint8), size=(320, 320))
    with pytest.raises(InputError, match="without what denoising needs"):
        detector.trace_denoising(trace, np.array([[0.5, 0.5, 0.2, 0.2]], np.float32), np.array([0]))


# --- version 1 -----------------------------------------------------------------------------------------------------


def as_version_1(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that lyuwenyu/RT-DETR rtdetr_pytorch writes: no scale of points, no anchors, layers by their place."""
    names = {
        **{
            f"encoder.input_proj.{i}.{a}": f"encoder.input_proj.{i}.{b}"
            for i in range(3)
            for a, b in (("conv", 0), ("norm", 1))
        },
        "decoder.enc_output.proj": "decoder.enc_output.0",
        "decoder.enc_output.norm": "decoder.enc_output.1",
    }
    out = {}
    for name, tensor in official.items():
        if name.endswith("num_points_scale") or name in ("decoder.anchors", "decoder.valid_mask"):
            continue
        for ours, theirs in names.items():
            if name.startswith(ours + "."):
                name = theirs + name.removeprefix(ours)
        out[name] = tensor
    return out


def test_an_official_file_of_version_1_is_the_same_network(
    tiny: dict[str, Tensor], official: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({"ema": {"module": as_version_1(official)}}, tmp_path / "v1.pth")
    config, state, remarks = load_weights(tmp_path / "v1.pth")
    assert config.version == 1
    assert config.num_points == (4, 4, 4)
    assert any("version 1" in remark for remark in remarks)
    assert all(torch.equal(state[name], tensor) for name, tensor in tiny.items())
    detector = rx.load(tmp_path / "v1.pth")
    assert detector.trace(np.zeros((64, 96, 3), np.uint8), size=(320, 320)).meta["config"]["version"] == 1


# --- folders and names of files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["best.ckpt", "pytorch_model.bin", "c.pth.tar", "checkpoint"])
def test_a_file_in_the_current_folder_needs_no_path(
    name: str, official: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(official, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert rx.load(name).name == name.removesuffix(".tar").rsplit(".", 1)[0]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert rx.load(f"~/{name}").config.num_layers == 2


def test_a_folder_stands_for_its_weights(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = tmp_path / "model"
    folder.mkdir()
    save_file({n: t.contiguous() for n, t in to_transformers(tiny).items()}, folder / "model.safetensors")
    values = {"model_type": "rt_detr_v2", "num_queries": 15, "id2label": {"0": "nut", "1": "bolt", "2": "ring"}}
    (folder / "config.json").write_text(json.dumps(values))
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 128, "width": 96}}))
    detector = rx.load(folder)
    assert detector.class_names == ("nut", "bolt", "ring")
    assert detector.config.image_size == (128, 96)
    assert detector.config.num_queries == 15
    assert detector.name == "model"
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 100, "width": 96}}))
    with pytest.raises(InputError, match="multiples of 32"):
        rx.load(folder)


def test_an_empty_folder_and_weights_in_parts_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights in"):
        load_weights(tmp_path)
    for part in (1, 2):
        (tmp_path / f"model-0000{part}-of-00002.safetensors").touch()
    with pytest.raises(InputError, match="in 2 parts"):
        load_weights(tmp_path)


def test_a_checkpoint_of_a_run_gives_names_and_size(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    named = replace(TINY, class_names=("nut", "bolt", "ring"), image_size=(96, 64))
    broken = {n: t * 0 for n, t in tiny.items()}
    kept = {"format": 1, "model_config": asdict(named), "model": broken, "ema": {"module": tiny}}
    torch.save(kept, tmp_path / "checkpoint.pt")
    detector = rx.load(tmp_path / "checkpoint.pt")
    assert detector.class_names == ("nut", "bolt", "ring")
    assert detector.config.image_size == (96, 64)


def test_a_file_never_takes_the_name_of_a_known_model(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    save_weights(tmp_path / "nano.safetensors", tiny, TINY)
    own = rx.load(tmp_path / "nano.safetensors")
    assert own.name == "nano (own file)"
    assert own.weights_hash != rx.load("nano").weights_hash


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("nut\nbolt\nring\n", ("nut", "bolt", "ring")),
        ("\ufeffnut\r\nbolt\r\n\r\nring", ("nut", "bolt", "ring")),
        ('["nut", "bolt", "ring"]', ("nut", "bolt", "ring")),
        ('{"2": "ring", "0": "nut", "1": "bolt"}', ("nut", "bolt", "ring")),
        ('{"categories": [{"id": 1, "name": "nut"}, {"id": 2, "name": "bolt"}]}', ("(class 0)", "nut", "bolt")),
    ],
)
def test_names_from_a_file(text: str, names: tuple[str, ...], official: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(official, tmp_path / "w.pth")
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    assert rx.load(tmp_path / "w.pth", names=tmp_path / "names.txt").class_names == names
    (tmp_path / "names.txt").write_text("one", encoding="utf-8")
    with pytest.raises(InputError, match="1 names, but the weights have 3 classes"):
        rx.load(tmp_path / "w.pth", names=tmp_path / "names.txt")


# --- refused, and why ------------------------------------------------------------------------------------------------

STRANGERS = {
    "ultralytics": {"model.0.conv.weight": 1, "model.22.cv2.0.0.conv.weight": 1},
    "DETR": {"backbone.0.body.conv1.weight": 1, "class_embed.weight": 1},
    "Deformable": {"transformer.encoder.layers.0.self_attn.sampling_offsets.weight": 1},
    "torchvision": {"roi_heads.box_head.fc6.weight": 1},
    "mmdetection": {"bbox_head.conv_cls.weight": 1},
    "classifier": {"conv1.weight": 1, "fc.weight": 1},
}


@pytest.mark.parametrize("tool", STRANGERS)
def test_other_tools_are_named(tool: str, tmp_path: Path) -> None:
    torch.save({name: torch.zeros(2) for name in STRANGERS[tool]}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=rf"checkpoint of .*{tool}.*; only RT-DETR can be read"):
        load_weights(tmp_path / "w.pt")


ODD: dict[str, Callable[[Tensor], Tensor]] = {
    "sparse": lambda t: t.to_sparse(),
    "quantized": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
    "meta": lambda t: t.to("meta"),
    "complex": lambda t: t.to(torch.complex64),
    "larger": lambda t: torch.zeros(1).expand(2**40),
    "more than": lambda t: torch.zeros(1, 1).expand(t.shape),
}


@pytest.mark.filterwarnings("ignore")  # torch says that some of these kinds are old
@pytest.mark.parametrize("kind", ODD)
def test_tensors_that_are_no_plain_arrays_are_refused(kind: str, official: dict[str, Tensor], tmp_path: Path) -> None:
    name = "decoder.enc_output.proj.weight"
    torch.save({**official, name: ODD[kind](official[name])}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"\Aw\.pth holds .*proj\.weight"):
        load_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_numbers_are_said_at_loading(value: float, official: dict[str, Tensor], tmp_path: Path) -> None:
    name = "decoder.dec_score_head.1.bias"
    torch.save({**official, name: torch.full_like(official[name], value)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"NaN or infinite numbers \(3 in decoder\.score_heads\.1\.bias\)"):
        load_weights(tmp_path / "w.pth")


def test_a_file_that_unpacks_to_far_more_is_refused_before(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(InputError, match="would unpack to 10 MB"):
        load_weights(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_size", [32]),
        ("image_size", [1_000_000, 64]),
        ("num_queries", 0),
        ("num_denoising", -1),
        ("class_names", []),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    field: str, value: Any, tiny: dict[str, Tensor], tmp_path: Path
) -> None:
    broken = asdict(TINY) | {field: value}
    torch.save({"model_config": broken, "ema": {"module": tiny}}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=f"{field}"):
        load_weights(tmp_path / "w.pt")

import json
import os
from collections import Counter, OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS, ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights.files import load_weights
from rtdetr_explained.weights.recognise import Layout
from rtdetr_explained.weights.saving import save_official, save_weights, to_official, to_transformers, weights_hash

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
    num_points=(1, 3, 2),
    class_names=("cup", "plate", "spoon"),
    image_size=(320, 448),
    num_queries=20,
)


@pytest.fixture(scope="module")
def tiny() -> dict[str, Tensor]:
    """A trained-looking state of a very small model: no value is a default, every counter has counted."""
    torch.manual_seed(0)
    state = RTDETR(TINY).state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point() and not name.endswith("num_points_scale"):
            state[name] = torch.rand_like(tensor) + 0.1
        elif name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(77)
    return state


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return set(a) == set(b) and all(a[n].dtype == b[n].dtype and torch.equal(a[n], b[n]) for n in a)


def refusal(path: Path) -> str:
    """The message with which a file is refused; it is one sentence on one line."""
    with pytest.raises(InputError) as caught:
        load_weights(path)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert path.name in message
    return message


# --- own files -----------------------------------------------------------------------------------------------------


def test_own_file_keeps_everything(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    config = replace(TINY, cross_attn_method="discrete", eval_idx=0, num_denoising=7)
    save_weights(tmp_path / "tiny.safetensors", tiny, config)
    loaded_config, loaded, _ = load_weights(tmp_path / "tiny.safetensors")
    assert loaded_config == config
    assert equal(loaded, tiny)
    RTDETR(loaded_config).load_state_dict(loaded, strict=True)
    with safe_open(tmp_path / "tiny.safetensors", "pt") as file:
        assert file.metadata()["format"] == "rtdetr-explained"
        assert json.loads(file.metadata()["config"])["class_names"] == ["cup", "plate", "spoon"]


def test_float16_file_is_half_the_size_and_loads_as_float32(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    save_weights(tmp_path / "full.safetensors", tiny, TINY)
    save_weights(tmp_path / "half.safetensors", tiny, TINY, dtype=torch.float16)
    stored = load_file(tmp_path / "half.safetensors")
    assert stored["backbone.stem.0.conv.weight"].dtype == torch.float16
    sizes = [sum(t.nbytes for t in load_file(tmp_path / f"{name}.safetensors").values()) for name in ("half", "full")]
    assert sizes[0] / sizes[1] == pytest.approx(0.5, abs=0.01)
    config, loaded, _ = load_weights(tmp_path / "half.safetensors")
    assert config == TINY
    assert {n: t.dtype for n, t in loaded.items()} == {n: t.dtype for n, t in tiny.items()}
    for name, tensor in loaded.items():
        torch.testing.assert_close(tensor, tiny[name], rtol=1e-3, atol=1e-3)
    # 1/3 has no exact float16, and the scale multiplies every sampling offset
    scale = "decoder.layers.0.cross_attn.num_points_scale"
    assert torch.equal(loaded[scale], tiny[scale])


def test_values_too_large_for_float16_are_not_saved_as_infinity(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    state = {**tiny, "backbone.stem.0.norm.running_var": torch.full((4,), 1e6)}
    with pytest.raises(ValueError, match=r"running_var.*float16"):
        save_weights(tmp_path / "half.safetensors", state, TINY, dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(
    tiny: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path, content: bytes) -> None:
        with open(path, "wb") as file:
            file.write(content[:100])
        raise OSError("No space left on device")

    save_weights(tmp_path / "w.safetensors", tiny, TINY)
    before = (tmp_path / "w.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_disk)
        with pytest.raises(OSError, match="No space"):
            save_weights(tmp_path / "w.safetensors", tiny, TINY)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]
    assert (tmp_path / "w.safetensors").read_bytes() == before


def test_files_can_be_read_by_whoever_may_read_others_of_the_folder(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    save_weights(tmp_path / "w.safetensors", tiny, TINY)
    save_official(tmp_path / "w.pth", tiny, TINY)
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_the_hash_depends_on_names_and_values_only(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    save_weights(tmp_path / "tiny.safetensors", tiny, TINY)
    original = weights_hash(tiny)
    assert len(original) == 64
    assert weights_hash(load_weights(tmp_path / "tiny.safetensors")[1]) == original
    assert weights_hash(dict(reversed(tiny.items()))) == original
    name = "decoder.layers.0.norm1.bias"
    changed = tiny[name].clone()
    changed[3] += 1e-6
    others = [
        {**tiny, name: changed},
        {**tiny, name: tiny[name].double()},
        {**tiny, name: tiny[name][None]},
        {n.replace("norm1", "norm9"): t for n, t in tiny.items()},
    ]
    assert original not in {weights_hash(other) for other in others}
    assert weights_hash({"a": torch.zeros(2, 2).t()}) == weights_hash({"a": torch.zeros(2, 2)})
    assert weights_hash({"a": torch.zeros(2, 2)}) != weights_hash({"b": torch.zeros(2, 2)})


# --- official files ------------------------------------------------------------------------------------------------


def test_official_file_there_and_back(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    save_official(tmp_path / "tiny.pth", tiny, TINY)
    checkpoint = torch.load(tmp_path / "tiny.pth", weights_only=True)
    assert list(checkpoint) == ["ema"]
    assert equal(checkpoint["ema"]["module"], to_official(tiny, TINY))
    config, loaded, _ = load_weights(tmp_path / "tiny.pth")
    assert equal(loaded, tiny)
    # no tensor tells the names of the classes nor the number of queries
    assert config == replace(TINY, class_names=("class 0", "class 1", "class 2"), num_queries=300)


def test_official_state_has_anchors_with_infinities_and_a_valid_mask(tiny: dict[str, Tensor]) -> None:
    official = to_official(tiny, replace(TINY, image_size=(640, 640)))
    anchors, valid = official["decoder.anchors"], official["decoder.valid_mask"]
    assert (anchors.shape, anchors.dtype) == ((1, 8400, 4), torch.float32)
    assert (valid.shape, valid.dtype) == ((1, 8400, 1), torch.bool)
    assert int(valid.sum()) == 8084
    assert int((anchors == torch.inf).sum()) == 316 * 4


@pytest.mark.parametrize("nesting", ["ema", "model", "bare", "training", "legacy"])
def test_every_nesting_of_official_checkpoints_is_read(tiny: dict[str, Tensor], tmp_path: Path, nesting: str) -> None:
    official = OrderedDict(to_official(tiny, TINY))
    official._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]  # what `module.state_dict()` adds
    other = {n: torch.zeros_like(t) for n, t in official.items()}
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))])
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    assert isinstance(scheduler.state_dict()["milestones"], Counter)
    checkpoint: Any = {
        "ema": {"ema": {"module": official}},
        "model": {"model": official, "date": "2024-08-22T00:00:00"},
        "bare": official,
        "legacy": official,
        "training": {
            "date": "2024-08-22T00:00:00",
            "last_epoch": 119,
            "model": other,  # the averaged weights are preferred
            "ema": {"module": official, "updates": 9},
            "optimizer": optimizer.state_dict(),
            "lr_scheduler": scheduler.state_dict(),
            "scaler": {},
            "criterion": OrderedDict(),
        },
    }[nesting]
    torch.save(checkpoint, tmp_path / "w.pth", _use_new_zipfile_serialization=nesting != "legacy")
    assert equal(load_weights(tmp_path / "w.pth")[1], tiny)


def test_half_precision_checkpoints_become_float32(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    official = to_official(tiny, TINY)
    torch.save({n: t.bfloat16() if t.is_floating_point() else t for n, t in official.items()}, tmp_path / "w.pth")
    loaded = load_weights(tmp_path / "w.pth")[1]
    assert {t.dtype for t in loaded.values()} == {torch.float32, torch.int64}


def test_discrete_sampling_is_read_from_the_file_name(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    for name, method in (("rtdetrv2_r18vd_dsp_3x_coco.pth", "discrete"), ("rtdetrv2_r18vd.pth", "default")):
        save_official(tmp_path / name, tiny, TINY)
        assert load_weights(tmp_path / name)[0].cross_attn_method == method


def test_counters_that_a_file_lacks_start_at_zero(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    official = {n: t for n, t in to_official(tiny, TINY).items() if not n.endswith("num_batches_tracked")}
    torch.save(official, tmp_path / "w.pth")
    loaded = load_weights(tmp_path / "w.pth")[1]
    assert set(loaded) == set(tiny)
    assert {int(t) for n, t in loaded.items() if n.endswith("num_batches_tracked")} == {0}


# --- transformers files --------------------------------------------------------------------------------------------


def save_transformers(folder: Path, state: dict[str, Tensor], config_json: Any = None) -> Path:
    save_file(to_transformers(state), folder / "model.safetensors", {"format": "pt"})
    if config_json is not None:
        (folder / "config.json").write_text(json.dumps(config_json))
    return folder / "model.safetensors"


def test_transformers_file_there_and_back(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    theirs = to_transformers(tiny)
    path = save_transformers(tmp_path, tiny)
    config, loaded, _ = load_weights(path)
    assert (config.freeze_norm, config.num_points) == (False, (1, 3, 2))
    counters = {n for n in tiny if n.startswith("backbone.") and n.endswith("num_batches_tracked")}
    assert len(counters) == 23
    assert equal(
        {n: t for n, t in loaded.items() if n not in counters}, {n: t for n, t in tiny.items() if n not in counters}
    )
    assert {int(loaded[n]) for n in counters} == {0}
    assert equal(to_transformers(loaded), theirs)


def test_config_json_beside_a_transformers_file_is_used(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "model_type": "rt_detr_v2",
        "id2label": {"0": "cup", "1": "plate", "2": "spoon"},
        "num_queries": 50,
        "decoder_method": "discrete",
    }
    config, _, _ = load_weights(save_transformers(tmp_path, tiny, values))
    assert config.class_names == ("cup", "plate", "spoon")
    assert (config.num_queries, config.cross_attn_method) == (50, "discrete")
    # names that transformers made up, or that do not fit the number of classes, tell nothing
    for id2label in ({str(i): f"LABEL_{i}" for i in range(3)}, {"0": "cup"}, ["cup", "plate", "spoon"]):
        config, _, _ = load_weights(save_transformers(tmp_path, tiny, {**values, "id2label": id2label}))
        assert config.class_names == ("class 0", "class 1", "class 2")


def test_a_config_json_of_something_else_is_not_used(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    config, _, _ = load_weights(save_transformers(tmp_path, tiny, {"model_type": "bert", "num_queries": 7}))
    assert config.num_queries == 300
    path = save_transformers(tmp_path, tiny, {"model_type": "rt_detr_v2", "decoder_method": "random"})
    assert "config.json beside it cannot be used" in refusal(path)
    (tmp_path / "config.json").write_text("{")
    assert "config.json beside it cannot be read" in refusal(path)


# --- files that fit nothing ----------------------------------------------------------------------------------------


def test_missing_unexpected_and_misshapen_tensors_are_named(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    official = to_official(tiny, TINY)
    del official["decoder.enc_output.norm.bias"], official["decoder.dec_score_head.1.bias"]
    official["decoder.tgt_embed.weight"] = torch.zeros(20, 32)
    official["encoder.lateral_convs.0.conv.weight"] = torch.zeros(16, 16, 3, 3)
    torch.save(official, tmp_path / "w.pth")
    message = refusal(tmp_path / "w.pth")
    assert "2 tensors missing (decoder.enc_output.norm.bias, decoder.dec_score_head.1.bias)" in message
    assert "1 tensor not expected (decoder.tgt_embed.weight)" in message
    assert "encoder.lateral_convs.0.conv.weight [16, 16, 3, 3] instead of [16, 16, 1, 1]" in message
    assert "custom" in message
    assert "official" in message


@pytest.mark.parametrize("layout", ["rtdetr-explained", "official", "transformers"])
def test_any_single_tensor_missing_or_added_is_noticed(tiny: dict[str, Tensor], tmp_path: Path, layout: Layout) -> None:
    state = {"rtdetr-explained": tiny, "official": to_official(tiny, TINY), "transformers": to_transformers(tiny)}[
        layout
    ]
    optional = ("num_batches_tracked", "decoder.anchors", "decoder.valid_mask")
    path = tmp_path / "w.safetensors"
    for name in [n for n in state if not n.endswith(optional)][7::50]:
        save_file({n: t for n, t in state.items() if n != name}, path)
        refusal(path)
        save_file({**state, f"{name}.more": torch.zeros(1)}, path)
        assert "1 tensor not expected" in refusal(path)


def test_other_models_are_described(tmp_path: Path) -> None:
    torch.save({f"layer{i}.weight": torch.zeros(1) for i in range(9)}, tmp_path / "resnet.pth")
    message = refusal(tmp_path / "resnet.pth")
    assert "9 tensors (layer0.weight, layer1.weight, layer2.weight, …)" in message
    assert "expected were RT-DETR weights" in message
    version_1 = {"decoder.enc_score_head.weight": torch.zeros(80, 256), "encoder.input_proj.0.0.weight": torch.zeros(1)}
    torch.save(version_1, tmp_path / "v1.pth")
    assert "official layout of RT-DETR, but its backbone has" in refusal(tmp_path / "v1.pth")
    save_file({}, tmp_path / "empty.safetensors")
    assert "no tensors" in refusal(tmp_path / "empty.safetensors")


def test_a_backbone_of_no_known_depth_is_described(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    more = {n.replace("stages.3.1", "stages.3.2"): t.clone() for n, t in tiny.items() if "stages.3.1" in n}
    save_file({**tiny, **more}, tmp_path / "w.safetensors")
    assert "(2, 2, 2, 3) basic blocks" in refusal(tmp_path / "w.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello, this is text\n" * 50, os.urandom(5000), b"PK\x03\x04" + bytes(300)])
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    assert "no readable checkpoint" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize("checkpoint", [[1, 2], 3.0, {"epoch": 3}, {"model": {"a": "b"}}, {"ema": {"module": [1]}}])
def test_checkpoints_without_a_state_dict(tmp_path: Path, checkpoint: Any) -> None:
    torch.save(checkpoint, tmp_path / "w.pth")
    assert "instead of a state dict" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_truncated_files(tiny: dict[str, Tensor], tmp_path: Path, share: float) -> None:
    save_official(tmp_path / "w.pth", tiny, TINY)
    save_weights(tmp_path / "w.safetensors", tiny, TINY)
    for path in (tmp_path / "w.pth", tmp_path / "w.safetensors"):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        refusal(path)


class Intruder:
    """Unpickling it would run code."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def test_code_in_a_checkpoint_is_never_executed(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    torch.save({**to_official(tiny, TINY), "extra": Intruder(marker)}, tmp_path / "w.pth")
    assert "never executed" in refusal(tmp_path / "w.pth")
    assert not marker.exists()
    torch.load(tmp_path / "w.pth", weights_only=False)  # the file would have done it
    assert marker.exists()


def test_no_file_and_folders(tmp_path: Path) -> None:
    assert "There is no file" in refusal(tmp_path / "nothing.pth")
    (tmp_path / "folder").mkdir()
    assert "There are no weights in" in refusal(tmp_path / "folder")


@pytest.mark.parametrize(
    "config",
    ["{", "[]", '{"colour": 1}', '{"num_queries": "many"}', '{"eval_idx": null}', '{"cross_attn_method": "random"}'],
)
def test_a_configuration_that_was_tampered_with(tiny: dict[str, Tensor], tmp_path: Path, config: str) -> None:
    save_file(tiny, tmp_path / "w.safetensors", {"format": "rtdetr-explained", "config": config})
    assert "configuration" in refusal(tmp_path / "w.safetensors")


def test_the_structure_is_that_of_the_tensors_whatever_the_metadata_say(
    tiny: dict[str, Tensor], tmp_path: Path
) -> None:
    config_json = {"depth": 101, "num_heads": 0, "num_points": [2, 2, 2], "num_queries": 9}
    metadata = {"format": "rtdetr-explained", "config": json.dumps(config_json)}
    save_file(tiny, tmp_path / "w.safetensors", metadata)
    config, _, _ = load_weights(tmp_path / "w.safetensors")
    assert (config.depth, config.num_heads, config.num_points, config.num_queries) == (18, 4, (1, 3, 2), 9)


def test_a_configuration_of_another_model(tiny: dict[str, Tensor], tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", tiny, CONFIGS["rtdetrv2_r18vd"])
    assert "looks like rtdetrv2_r18vd" in refusal(tmp_path / "w.safetensors")

"""What a model begins with: all of another one, as far as it fits, or a trained backbone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_models import fill
from tiny_model import TINY
from torch import Tensor, nn

from rtdetr_explained import cli
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.backbone_efficientnet import EfficientNetLite0
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.initial import adopt, begin, initial_weights, load_backbone
from rtdetr_explained.training.run import start_run
from rtdetr_explained.weights import keys
from rtdetr_explained.weights.saving import save_official, save_weights

FROZEN = replace(TINY, depth=50, freeze_norm=True, freeze_at=0)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)


def test_weights_of_another_network_are_refused_and_fitting_ones_taken(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    model = RTDETR(TINY)
    save_weights(path, model.state_dict(), TINY)
    with pytest.raises(InputError, match="width is 8 instead of 32"):
        initial_weights(str(path), CONFIGS["nano"])
    config, state = initial_weights(str(path), replace(TINY, image_size=(96, 96)))
    assert config.image_size == (96, 96)
    other = RTDETR(config)
    assert len(adopt(other, state, config.class_names)) == 1
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


HEADS = (
    "decoder.score_heads.0.weight",
    "decoder.score_heads.1.bias",
    "query_selection.score_head.weight",
    "query_selection.score_head.bias",
    "denoising.class_embed.weight",
)


def knowing(*names: str) -> RTDETR:
    """A model of these classes whose rows of class c are all 10 + c, and 5 for "no object"."""
    model = RTDETR(replace(TINY, class_names=names))
    for name in HEADS:
        tensor = model.state_dict()[name]
        for row in range(len(tensor)):
            tensor[row] = 10 + row if row < len(names) else 5
    return model


@pytest.mark.parametrize(
    ("names", "source", "lines"),
    [
        (("owl", "cat", "dog"), [0, 1, 2], []),
        (("dog", "owl", "cat"), [2, 0, 1], []),
        (("cat", "newt", "dog", "owl"), [1, None, 2, 0], ["the weights know 3", "begin at random: 'newt'"]),
        (("dog",), [2], []),
        (("Dog", "cat"), [2, 1], ["The class 'Dog' is taken for 'dog' of the weights."]),
        (("dog", "Dog"), [2, None], ["know 1", "'Dog'"]),
        (("elk", "fox", "gnu"), [None, None, None], ["the weights know 0", "'elk', 'fox', 'gnu'"]),
    ],
)
def test_rows_of_the_heads_go_with_the_names_of_their_classes(
    names: tuple[str, ...], source: list[int | None], lines: list[str]
):
    before, model = knowing("owl", "cat", "dog"), RTDETR(replace(TINY, class_names=names))
    own = {name: value.clone() for name, value in model.state_dict().items()}
    said = adopt(model, before.state_dict(), ("owl", "cat", "dog"))
    for name in HEADS:
        tensor = model.state_dict()[name]
        for row, old in enumerate(source):
            wanted = own[name][row] if old is None else torch.full_like(tensor[row], 10 + old)
            assert torch.equal(tensor[row], wanted), (name, row)
    assert (model.denoising.class_embed.weight[len(names)] == 0).all()  # "no object" stays what it is
    assert torch.equal(
        model.state_dict()["backbone.stem.2.conv.weight"], before.state_dict()["backbone.stem.2.conv.weight"]
    )
    for line in lines:
        assert line in "\n".join(said)
    assert len(said) == 1 + any(old is None for old in source) + ("Dog" in names and "dog" not in names)


def test_weights_without_names_lend_their_rows_in_order_and_say_so():
    before, model = knowing("class 0", "class 1"), RTDETR(replace(TINY, class_names=("owl", "cat")))
    said = adopt(model, before.state_dict(), ("class 0", "class 1"))
    assert model.state_dict()[HEADS[0]][:, 0].tolist() == [10, 11]
    assert "in the order of the data's classes" in said[-1]
    model = RTDETR(replace(TINY, class_names=("owl", "cat", "dog")))
    assert "the weights know 0" in adopt(model, before.state_dict(), ("class 0", "class 1"))[1]


def test_one_score_for_all_classes_is_nobodys_row():
    agnostic = replace(TINY, query_select_method="agnostic")
    before, model = (
        RTDETR(replace(agnostic, class_names=("owl",))),
        RTDETR(replace(agnostic, class_names=("cat", "dog"))),
    )
    before.query_selection.score_head.bias.data[:] = 7
    adopt(model, before.state_dict(), ("owl",))
    assert model.query_selection.score_head.bias.tolist() == [7]


def trained(config=TINY) -> RTDETR:
    """A model none of whose norms is as new."""
    model = RTDETR(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            fill(module.running_mean, -1, 1)
            fill(module.running_var, 0.5, 2)
            module.get_buffer("num_batches_tracked").fill_(7)
    return model


def official(model: RTDETR, prefix: str = "") -> dict[str, Tensor]:
    """The backbone under the names of the official file."""
    state = {name: value for name, value in model.state_dict().items() if name.startswith("backbone.")}
    return {
        prefix + name.removeprefix("backbone."): value for name, value in keys.from_ours(state, keys.OFFICIAL).items()
    }


@pytest.mark.parametrize("prefix", ["", "backbone."])
@pytest.mark.parametrize("nested", [False, True])
def test_a_backbone_of_the_official_layout_is_taken_whole(tmp_path: Path, prefix: str, nested: bool):
    model, other = trained(), RTDETR(TINY)
    state = official(model, prefix)
    assert prefix + "conv1.conv1_1.conv.weight" in state
    torch.save({"ema": {"module": state}} if nested else state, tmp_path / "b.pth")
    before = {name: value.clone() for name, value in other.state_dict().items()}
    load_backbone(other, str(tmp_path / "b.pth"))
    for name, value in other.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            wanted = model.state_dict() if name.startswith("backbone.") else before
            assert torch.equal(value, wanted[name]), name


def test_a_backbone_with_frozen_norms_takes_those_that_were_not(tmp_path: Path):
    model, other = trained(replace(FROZEN, freeze_norm=False)), RTDETR(FROZEN)
    torch.save(official(model), tmp_path / "b.pth")
    load_backbone(other, str(tmp_path / "b.pth"))
    wanted, name = model.state_dict(), "backbone.stages.1.0.conv2.norm.running_var"
    assert torch.equal(other.state_dict()[name], wanted[name])


def test_the_backbone_of_a_whole_detector_is_enough(tmp_path: Path):
    model, other = trained(), RTDETR(replace(TINY, num_layers=1, class_names=("owl",)))
    save_official(tmp_path / "whole.pth", model.state_dict(), TINY)
    load_backbone(other, str(tmp_path / "whole.pth"))
    name = "backbone.stem.2.conv.weight"
    assert torch.equal(other.state_dict()[name], model.state_dict()[name])


def test_a_backbone_that_does_not_fit_is_refused(tmp_path: Path):
    path, state = tmp_path / "b.pth", official(trained())

    def refused() -> str:
        with pytest.raises(InputError) as caught:
            load_backbone(RTDETR(TINY), str(path))
        return str(caught.value)

    assert refused() == f"There is no file {path}; give a .pth or .safetensors file of a backbone."
    torch.save({**state, "conv1.conv1_1.conv.weight": torch.zeros(4, 3, 5, 5)}, path)
    assert refused() == (
        "b.pth does not hold the backbone of tiny: it has 1 tensor of another shape "
        "(backbone.conv1.conv1_1.conv.weight [4, 3, 5, 5] instead of [4, 3, 3, 3])."
    )
    torch.save(
        {name: value for name, value in state.items() if "running_var" not in name} | {"fc.bias": state.popitem()[1]},
        path,
    )
    assert "tensors missing (backbone.conv1.conv1_1.norm.running_var, " in (message := refused())
    assert "1 tensor not expected (backbone.fc.bias)" in message
    torch.save(official(trained(FROZEN)), path)
    assert "does not hold the backbone of tiny" in refused()


def test_a_run_begins_with_the_backbone_given(tmp_path: Path, capsys: pytest.CaptureFixture):
    model = trained()
    torch.save(official(model), tmp_path / "b.pth")
    config = TrainConfig(out=tmp_path, model="tiny", steps=1, backbone=str(tmp_path / "b.pth"))
    run = start_run(config, TINY.class_names)
    name = "backbone.stem.2.conv.weight"
    for network in (run.model, run.ema.module):
        assert torch.equal(network.state_dict()[name], model.state_dict()[name])
    assert f"The backbone comes from {tmp_path / 'b.pth'}" in capsys.readouterr().err
    (tmp_path / "b.pth").unlink()
    start_run(replace(config, resume=True), TINY.class_names)  # then everything comes from the checkpoint


def test_a_published_model_without_its_backbone_gets_a_remark():
    with torch.device("meta"):
        model = RTDETR(CONFIGS["rtdetrv2_r18vd"])
    (line,) = begin(model, None, (), "")
    assert "trained on ImageNet" in line
    assert "never trained" not in line
    (line,) = begin(RTDETR(CONFIGS["nano-photo"]), None, (), "")
    assert "never trained" in line
    assert begin(RTDETR(CONFIGS["nano"]), None, (), "") == []
    assert begin(RTDETR(TINY), None, (), "") == []


def test_weights_and_a_backbone_together_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture):
    both = ["--weights", "nano", "--backbone", "b.pth", "--steps", "1"]
    assert cli.main(["train", "--out", str(tmp_path / "run"), *both]) == 2
    assert "leave out --backbone, or --weights" in capsys.readouterr().err


def imagenet(backbone: EfficientNetLite0) -> dict[str, Tensor]:
    """A backbone as a classifier's file has it, with the tensors that follow it."""
    state = keys.from_ours({f"backbone.{n}": t for n, t in backbone.state_dict().items()}, keys.EFFICIENTNET_LITE)
    assert {"_conv_stem.weight", "_bn0.running_var", "_blocks.0._depthwise_conv.weight"} < state.keys()
    assert "_blocks.15._bn2.weight" in state
    return state | {"_conv_head.weight": torch.ones(2), "_bn1.bias": torch.ones(2), "_fc.bias": torch.ones(2)}


@pytest.mark.parametrize("freeze_norm", [False, True])
def test_a_backbone_of_a_classifier_is_taken_with_its_norms_or_folded(tmp_path: Path, freeze_norm: bool):
    config = replace(TINY, backbone="efficientnet_lite0")
    source = trained(config).eval()
    assert isinstance(source.backbone, EfficientNetLite0)
    torch.save(imagenet(source.backbone), tmp_path / "lite.pth")
    model = RTDETR(replace(config, freeze_norm=freeze_norm)).eval()
    load_backbone(model, str(tmp_path / "lite.pth"))
    images = torch.rand(1, 3, 64, 64)
    for ours, wanted in zip(model.backbone(images), source.backbone(images), strict=True):
        torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=1e-4)


def test_another_classifier_is_refused_with_the_names_of_its_file(tmp_path: Path):
    config = replace(TINY, backbone="efficientnet_lite0")
    state = imagenet(EfficientNetLite0(config))
    del state["_blocks.3._bn0.weight"]
    torch.save(state | {"_blocks.3._se_reduce.weight": torch.ones(1)}, tmp_path / "b0.pth")
    with pytest.raises(InputError) as caught:
        load_backbone(RTDETR(config), str(tmp_path / "b0.pth"))
    assert str(caught.value) == (
        "b0.pth does not hold the backbone of tiny: it has 1 tensor missing (_blocks.3._bn0.weight), "
        "1 tensor not expected (_blocks.3._se_reduce.weight)."
    )

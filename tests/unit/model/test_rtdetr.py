import re
from dataclasses import replace

import pytest
import torch
from random_models import TINY, random_images, random_model, run, seen_at
from torch import Tensor

from rtdetr_explained.model.rtdetr import RTDETR

DEEP = replace(TINY, num_layers=6, eval_idx=2)
HALVES = [torch.bfloat16, torch.float16]


@pytest.fixture(scope="module")
def model() -> RTDETR:
    return random_model()


@pytest.fixture
def targets() -> list[dict[str, Tensor]]:
    torch.manual_seed(0)
    return [
        {"labels": torch.tensor(labels), "boxes": torch.rand(len(labels), 4) * 0.4 + 0.2} for labels in ([1, 4, 0], [2])
    ]


@pytest.mark.parametrize(("height", "width"), [(96, 128), (128, 96), (64, 64), (32, 320)])
def test_evaluation_returns_logits_and_boxes_for_any_multiples_of_32(model: RTDETR, height: int, width: int) -> None:
    out = run(model, random_images(2, height, width))
    assert {name: tuple(value.shape) for name, value in out.items()} == {
        "pred_logits": (2, 20, 5),
        "pred_boxes": (2, 20, 4),
    }
    assert (out["pred_boxes"] >= 0).all()
    assert (out["pred_boxes"] <= 1).all()
    assert out["pred_logits"].std(dim=1).min() > 0.01  # queries differ, so the tests compare something


@pytest.mark.parametrize(("height", "width"), [(100, 128), (96, 130), (16, 64)])
def test_other_sides_are_refused(model: RTDETR, height: int, width: int) -> None:
    with pytest.raises(ValueError, match=re.escape(f"must be multiples of 32, not {height} x {width}; resize first.")):
        run(model, random_images(1, height, width))


@pytest.mark.parametrize("shape", [(3, 96, 128), (1, 1, 96, 128), (1, 96, 128, 3)])
def test_what_is_no_batch_of_images_is_refused(model: RTDETR, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(batch, 3, height, width), not {shape}")):
        run(model, torch.rand(shape))


def test_training_returns_every_layer_the_encoder_and_the_denoising_queries(targets: list) -> None:
    config = replace(DEEP, num_denoising=12)
    out = random_model(config).train()(random_images(2, 96, 128), targets)
    assert list(out) == ["dn_aux_outputs", "dn_meta", "pred_logits", "pred_boxes", "aux_outputs", "enc_aux_outputs"]
    matching = [out, *out["aux_outputs"], *out["enc_aux_outputs"]]
    assert [len(out[name]) for name in ("aux_outputs", "enc_aux_outputs", "dn_aux_outputs")] == [5, 1, 6]
    for predictions, queries in ((matching, 20), (out["dn_aux_outputs"], 24)):
        for prediction in predictions:
            assert prediction["pred_logits"].shape == (2, queries, 5)
            assert prediction["pred_boxes"].shape == (2, queries, 4)
            assert prediction["pred_logits"].requires_grad
            assert prediction["pred_boxes"].requires_grad
    assert out["dn_meta"]["dn_num_group"] == 4
    assert out["dn_meta"]["dn_num_split"] == [24, 20]


@pytest.mark.parametrize("num_denoising", [0, 10])
def test_training_without_targets_or_denoising_has_no_denoising_outputs(num_denoising: int, targets: list) -> None:
    model = random_model(replace(TINY, num_denoising=num_denoising)).train()
    out = model(random_images(2, 96, 128), targets if num_denoising == 0 else None)
    assert list(out) == ["pred_logits", "pred_boxes", "aux_outputs", "enc_aux_outputs"]


def test_inference_stops_at_the_evaluation_layer_and_training_does_not(targets: list) -> None:
    model = random_model(DEEP)
    images = random_images(2, 96, 128)
    evaluated, trained = run(model, images), run(model, images, targets=targets)
    third = trained["aux_outputs"][2]
    torch.testing.assert_close(evaluated["pred_boxes"], third["pred_boxes"], atol=1e-5, rtol=0)
    torch.testing.assert_close(evaluated["pred_logits"], third["pred_logits"], atol=1e-4, rtol=0)
    assert not torch.allclose(evaluated["pred_boxes"], trained["pred_boxes"], atol=1e-3)


def test_every_parameter_that_is_used_in_training_gets_a_gradient(targets: list) -> None:
    model = random_model().train()
    out = model(random_images(2, 96, 128), targets)
    predictions = [out, *out["aux_outputs"], *out["enc_aux_outputs"], *out["dn_aux_outputs"]]
    torch.stack(
        [p[name].square().sum() for p in predictions for name in ("pred_logits", "pred_boxes")]
    ).sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_a_batch_equals_its_images_one_by_one(model: RTDETR) -> None:
    images = random_images(2, 96, 160)
    together = run(model, images)
    tokens = seen_at(model, "query_selection.topk_indices", images)
    for b in range(2):
        alone = run(model, images[b : b + 1])
        assert torch.equal(seen_at(model, "query_selection.topk_indices", images[b : b + 1]), tokens[b : b + 1])
        torch.testing.assert_close(together["pred_logits"][b], alone["pred_logits"][0], atol=1e-4, rtol=0)
        torch.testing.assert_close(together["pred_boxes"][b], alone["pred_boxes"][0], atol=1e-5, rtol=0)


def test_sizes_that_alternate_do_not_disturb_each_other(model: RTDETR) -> None:
    """512 x 800 and 640 x 640 have equally many tokens on the coarsest map, 16 x 25 and 20 x 20; here in small."""
    sizes = [(128, 128), (64, 256), (256, 64), (128, 128), (64, 256)]
    for height, width in sizes:
        fresh = random_model()
        images = random_images(1, height, width)
        assert torch.equal(run(model, images)["pred_boxes"], run(fresh, images)["pred_boxes"])


def test_weights_never_hold_what_depends_on_the_input_size(model: RTDETR) -> None:
    before = set(model.state_dict())
    run(model, random_images(1, 160, 96))
    assert set(model.state_dict()) == before
    assert not [name for name in before if "anchor" in name or "position" in name or "valid" in name]


@pytest.mark.parametrize("dtype", HALVES)
def test_autocast_on_the_cpu_keeps_what_is_delicate_in_float32(model: RTDETR, dtype: torch.dtype) -> None:
    check_autocast(model, random_images(1, 96, 128), dtype)


@pytest.mark.parametrize("dtype", HALVES)
def test_training_under_autocast_gives_finite_gradients(dtype: torch.dtype, targets: list) -> None:
    model = random_model().train()
    with torch.autocast("cpu", dtype):
        out = model(random_images(2, 96, 128), targets)
    predictions = [out, *out["aux_outputs"], *out["enc_aux_outputs"], *out["dn_aux_outputs"]]
    for prediction in predictions:
        assert prediction["pred_logits"].dtype == prediction["pred_boxes"].dtype == torch.float32
    torch.stack([p[name].mean() for p in predictions for name in ("pred_logits", "pred_boxes")]).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """The GPU, with its short float32 (TF32) switched off."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return torch.device("cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("method", ["default", "discrete"])
def test_gpu_agrees_with_the_cpu(cuda: torch.device, method: str) -> None:
    model, images = random_model(replace(TINY, cross_attn_method=method)), random_images(2, 96, 128)
    with torch.no_grad():
        maps = model.encode(images)
        selection = model.query_selection(maps)
        on_cpu = model.predict(selection)
        moved = {name: v.to(cuda) for name, v in selection._asdict().items() if isinstance(v, Tensor)}
        model.to(cuda)
        on_gpu = model.predict(selection._replace(**moved))
        for map_, gpu_map in zip(maps, model.encode(images.to(cuda)), strict=True):
            torch.testing.assert_close(gpu_map.cpu(), map_, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(on_gpu["pred_logits"].cpu(), on_cpu["pred_logits"], atol=1e-3, rtol=0)
    torch.testing.assert_close(on_gpu["pred_boxes"].cpu(), on_cpu["pred_boxes"], atol=1e-4, rtol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", HALVES)
def test_autocast_on_the_gpu(cuda: torch.device, dtype: torch.dtype) -> None:
    check_autocast(random_model().to(cuda), random_images(1, 96, 128).to(cuda), dtype)


def check_autocast(model: RTDETR, images: Tensor, dtype: torch.dtype) -> None:
    """Finite, and close to float32 where both can be compared: the maps, and the boxes of the same queries."""
    with torch.no_grad():
        maps = model.encode(images)
        selection = model.query_selection(maps)
        exact = model.predict(selection)
        with torch.autocast(images.device.type, dtype):
            whole = model(images)
            half_maps = model.encode(images)
            half = model.predict(selection)
    for name, out in (("whole", whole), ("decoder", half)):
        assert out["pred_logits"].isfinite().all(), name
        assert out["pred_boxes"].isfinite().all(), name
        assert out["pred_logits"].dtype == out["pred_boxes"].dtype == torch.float32
    for half_map, map_ in zip(half_maps, maps, strict=True):
        assert half_map.dtype == dtype  # autocast was on at all
        assert (half_map - map_).norm() < 50 * torch.finfo(dtype).eps * map_.norm()
    torch.testing.assert_close(half["pred_boxes"], exact["pred_boxes"], atol=0.01, rtol=0)
    with torch.autocast(images.device.type, dtype):
        for name in ("query_selection.anchors", "decoder.layers.2.cross_attn.sampling_locations"):
            assert seen_at(model, name, images).dtype == torch.float32

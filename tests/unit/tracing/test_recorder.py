import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from random_models import random_images, random_model, random_photo
from torch import nn

from rtdetr_explained.detector import Detector
from rtdetr_explained.model.fuse import fuse
from rtdetr_explained.model.tap import Tap
from rtdetr_explained.tracing.recorder import Recorder, frozen_copy, install_hooks, output_shapes, recording
from rtdetr_explained.tracing.trace import Trace


class Toy(nn.Module):
    """A tap, and a module that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Tap("query channel", "metre", "What is seen.")
        self.twice = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": self.twice(self.twice(self.seen(x)))}


@pytest.fixture
def toy() -> Toy:
    model = Toy()
    install_hooks(model, ("twice",))
    return model


def recorder(**arguments) -> Recorder:
    return Recorder(**({"keep": lambda name: "exact", "device": torch.device("cpu")} | arguments))


def test_nothing_is_recorded_outside_the_block(toy: Toy) -> None:
    rec = recorder()
    toy(torch.rand(1, 2, 3))
    with recording(rec):
        pass
    toy(torch.rand(1, 2, 3))
    assert not rec.values
    assert not rec.calls
    assert not rec.ms


def test_a_pass_leaves_values_facts_shapes_and_times(toy: Toy) -> None:
    rec, x = recorder(), torch.rand(1, 2, 3)
    with recording(rec):
        toy(x)
    assert np.array_equal(rec.values["seen"], x[0].numpy())
    info = rec.sites["seen"]
    assert (info.axes, info.unit, info.doc) == (("query", "channel"), "metre", "What is seen.")
    assert (info.shape, info.dtype, info.captured) == ((2, 3), "float32", True)
    assert rec.shapes() == {"twice@layer0": (1, 2, 3), "twice@layer1": (1, 2, 3)}


def test_the_time_of_a_module_that_runs_twice_is_added_up(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    rec = recorder()
    ticks = iter([100.0, 101.0, 110.0, 115.0])
    monkeypatch.setattr(rec, "clock", lambda: next(ticks))
    with recording(rec):
        toy(torch.rand(1, 2, 3))
    assert rec.ms == {"twice": 6.0}


@pytest.mark.parametrize(("kind", "waits"), [("cuda", ["cuda"]), ("mps", ["mps"]), ("cpu", [])])
def test_a_time_is_taken_when_the_device_has_finished(
    monkeypatch: pytest.MonkeyPatch, kind: str, waits: list[str]
) -> None:
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *device: waited.append("cuda"))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    recorder(device=torch.device(kind)).clock()
    assert waited == waits


def test_what_is_not_kept_is_still_described(toy: Toy) -> None:
    rec = recorder(keep=lambda name: None)
    with recording(rec):
        toy(torch.rand(1, 2, 3))
    assert not rec.values
    assert not rec.sites["seen"].captured
    assert rec.sites["seen"].shape == (2, 3)


def test_editors_change_what_the_model_goes_on_with_and_what_is_kept(toy: Toy) -> None:
    rec, x = recorder(editors={"seen": [lambda t: t + 1, lambda t: t * 2]}), torch.rand(1, 2, 3)
    with recording(rec):
        edited = toy(x)["out"]
    assert torch.equal(edited, toy((x + 1) * 2)["out"])
    assert np.array_equal(rec.values["seen"], ((x + 1) * 2)[0].numpy())


def test_after_an_error_the_thread_is_free_again(toy: Toy) -> None:
    rec = recorder()
    with pytest.raises(RuntimeError), recording(rec):
        toy(torch.rand(1, 2, 7))
    rec.values.clear()
    toy(torch.rand(1, 2, 3))
    assert not rec.values


def test_a_thread_does_not_record_what_another_one_runs(toy: Toy) -> None:
    rec = recorder()
    with recording(rec):
        other = threading.Thread(target=toy, args=(torch.rand(1, 2, 3),))
        other.start()
        other.join()
    assert not rec.values
    assert not rec.calls


@pytest.mark.parametrize(
    ("dtype", "half", "expected"),
    [
        (torch.float32, False, np.float32),
        (torch.float32, True, np.float16),
        (torch.bfloat16, False, np.float32),
        (torch.float64, False, np.float64),
        (torch.int64, True, np.int64),
        (torch.bool, True, np.bool_),
    ],
)
def test_what_is_kept_is_a_frozen_copy_without_the_batch(dtype: torch.dtype, half: bool, expected: type) -> None:
    tensor = torch.arange(12).view(1, 3, 4).to(dtype)
    array = frozen_copy(tensor.transpose(1, 2), half)
    assert array.shape == (4, 3)
    assert array.dtype == expected
    assert array.flags.c_contiguous
    before = array.copy()
    tensor.zero_()
    assert np.array_equal(array, before)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_shapes_of_nested_outputs() -> None:
    output = {"boxes": torch.zeros(2, 3), "layers": [torch.zeros(1), (torch.zeros(4), "text", None)], "count": 3}
    assert output_shapes("head", output) == {
        "head[boxes]": (2, 3),
        "head[layers][0]": (1,),
        "head[layers][1][0]": (4,),
    }


@pytest.mark.parametrize("deploy", [True, False])
def test_outputs_with_and_without_tracing_are_the_same_bit_for_bit(deploy: bool) -> None:
    model = random_model()
    traced = Detector(model, deploy=deploy)
    photo = random_photo(100, 150)
    trace = traced.trace(photo, sites="all")
    pixels = traced.to_input(Image.fromarray(photo), (96, 128))
    with torch.inference_mode():
        hooked = traced.model(pixels)
        bare = (fuse(model) if deploy else model)(pixels)
    for out in (hooked, bare):
        assert np.array_equal(trace.logits, out["pred_logits"][0].numpy())
        assert np.array_equal(trace.boxes, out["pred_boxes"][0].numpy())


def test_eight_threads_through_one_model_each_get_exactly_their_own_trace(detector: Detector) -> None:
    photos = [random_photo(80 + 10 * i, 120, seed=i) for i in range(8)]
    sizes = [(96, 128), (128, 96)] * 4
    serial = [detector.trace(photo, "all", size) for photo, size in zip(photos, sizes, strict=True)]
    start = threading.Barrier(8)

    def work(i: int) -> list[Trace]:
        start.wait()
        return [detector.trace(photos[i], "all", sizes[i]) for _ in range(3)]

    with ThreadPoolExecutor(8) as pool:
        for alone, together in zip(serial, pool.map(work, range(8)), strict=True):
            for again in together:
                assert alone.same_numbers(again)
                assert alone.shapes == again.shapes
                assert alone.meta == again.meta
    assert len({trace.logits.tobytes() for trace in serial}) == 8


def test_the_model_a_detector_is_made_from_stays_without_hooks() -> None:
    model = random_model()
    Detector(model)
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    out = model.train()(random_images(2, 96, 128))
    assert out["pred_boxes"].requires_grad

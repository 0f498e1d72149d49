"""What "auto" stands for, and devices that are not there."""

import pytest
import torch

from rtdetr_explained.device import best_device, usable_device
from rtdetr_explained.errors import InputError


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_best_device_is_the_fastest_that_is_there(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, best: str
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == best


def test_auto_and_names_become_devices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rtdetr_explained.device.best_device", lambda: "meta")
    assert usable_device("auto") == torch.device("meta")
    for device in ("cpu", torch.device("cpu")):
        assert usable_device(device) == torch.device("cpu")


@pytest.mark.parametrize("device", ["abacus", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(device: str):
    with pytest.raises(InputError, match=f"device '{device}' cannot be used on this machine; use 'cpu'"):
        usable_device(device)

import math

import pytest
import torch
from torch import nn

from rtdetr_explained.training.ema import ModelEma, ema_decay


def small_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def move(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    model.train()(torch.randn(8, 3))  # moves the statistics of the batch norm


def test_the_decay_warms_up_from_one_update_on():
    assert ema_decay(1, 0.9999, 2000) == pytest.approx(0.9999 * (1 - math.exp(-1 / 2000)))
    assert 0 < ema_decay(1, 0.9999, 2000) < 0.001
    assert ema_decay(100_000, 0.9999, 2000) == pytest.approx(0.9999)
    rising = [ema_decay(step, 0.9995, 500) for step in range(1, 3000)]
    assert rising == sorted(rising)


def test_the_average_follows_its_recurrence_for_weights_and_statistics():
    model = small_model()
    ema = ModelEma(model, decay=0.9, warmup=2)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    for step in range(1, 5):
        move(model)
        ema.update(model)
        share = 0.9 * (1 - math.exp(-step / 2))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                expected[name] = share * expected[name] + (1 - share) * value
    averaged = ema.module.state_dict()
    for name in ("0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(averaged[name], expected[name])
        assert not torch.equal(averaged[name], model.state_dict()[name])
    assert averaged["1.num_batches_tracked"] == model.state_dict()["1.num_batches_tracked"] == 4
    assert ema.updates == 4


def test_the_average_is_a_copy_in_eval_mode_that_needs_no_gradient():
    model = small_model()
    ema = ModelEma(model, decay=0.9, warmup=2)
    before = ema.module.state_dict()["0.weight"].clone()
    move(model)
    assert torch.equal(ema.module.state_dict()["0.weight"], before)
    assert not ema.module.training
    assert not any(parameter.requires_grad for parameter in ema.module.parameters())

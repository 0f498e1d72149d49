import math

import pytest
import torch
from random_models import watch
from torch import nn

from rtdetr_explained.model.layers import (
    FLOAT16_MAX,
    MLP,
    ConvNorm,
    FrozenBatchNorm2d,
    SelfAttention,
    box_head,
    class_head,
    inverse_sigmoid,
    residual_norm,
)


def test_frozen_batch_norm_computes_what_batch_norm_does_in_evaluation() -> None:
    torch.manual_seed(0)
    norm, frozen = nn.BatchNorm2d(6), FrozenBatchNorm2d(6)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        assert tensor is not None
        nn.init.uniform_(tensor, 0.3, 2.0)
    frozen.load_state_dict({k: v for k, v in norm.state_dict().items() if k != "num_batches_tracked"})
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(frozen(x), norm.eval()(x), atol=1e-5, rtol=0)
    assert not list(frozen.parameters())
    before = {name: buffer.clone() for name, buffer in frozen.named_buffers()}
    frozen.train()(torch.randn(2, 6, 5, 4) + 9)
    assert all(torch.equal(buffer, before[name]) for name, buffer in frozen.named_buffers())


@pytest.mark.parametrize(("kernel_size", "stride", "size"), [(1, 1, (7, 10)), (3, 1, (7, 10)), (3, 2, (4, 5))])
def test_conv_norm_keeps_the_size_at_stride_1_and_halves_it_at_stride_2(
    kernel_size: int, stride: int, size: tuple[int, int]
) -> None:
    layer = ConvNorm(3, 5, kernel_size, stride)
    assert layer.conv.bias is None
    assert layer(torch.rand(1, 3, 7, 10)).shape == (1, 5, *size)


def test_mlp_puts_a_relu_between_layers_but_none_after_the_last() -> None:
    torch.manual_seed(0)
    mlp = MLP(3, 7, 2, 3)
    x = torch.randn(50, 3)
    first, second, third = mlp.layers
    expected = third(second(first(x).clamp(min=0)).clamp(min=0))
    torch.testing.assert_close(mlp(x), expected)
    assert (mlp(x) < 0).any()


def test_a_new_box_head_changes_nothing() -> None:
    assert not box_head(8)(torch.randn(5, 8)).any()


def test_a_new_class_head_says_nothing_is_there() -> None:
    head = class_head(8, 3)
    torch.testing.assert_close(head.bias, torch.full((3,), -math.log(99)))


def test_self_attention_equals_torch_multi_head_attention() -> None:
    torch.manual_seed(0)
    ours, theirs = SelfAttention(24, 4, "query"), nn.MultiheadAttention(24, 4, batch_first=True)
    for parameter in ours.parameters():
        nn.init.uniform_(parameter, -0.4, 0.4)
    projections = [ours.q_proj, ours.k_proj, ours.v_proj]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
        theirs.out_proj.load_state_dict(ours.out_proj.state_dict())
    x, pos = torch.randn(2, 9, 24), torch.randn(2, 9, 24)
    blocked = torch.rand(9, 9) < 0.4
    blocked.fill_diagonal_(False)
    seen, _ = watch(ours.weights)

    out = ours(x, pos, blocked)
    expected, weights = theirs(x + pos, x + pos, x, attn_mask=blocked, average_attn_weights=False)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0], weights, atol=1e-6, rtol=0)
    assert not seen[0][:, :, blocked].any()


def test_new_self_attention_starts_like_torch() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(64, 4, "token")
    bound = math.sqrt(6 / (64 + 3 * 64))  # Xavier-uniform over the packed projections
    for proj in (attention.q_proj, attention.k_proj, attention.v_proj):
        assert 0.98 * bound < proj.weight.abs().max() <= bound
        assert not proj.bias.any()


def test_inverse_sigmoid_undoes_the_sigmoid_and_stays_finite_at_the_ends() -> None:
    x = torch.linspace(-11, 11, 45)
    torch.testing.assert_close(inverse_sigmoid(x.sigmoid()), x, atol=0.02, rtol=0)
    ends = inverse_sigmoid(torch.tensor([-0.5, 0.0, 1.0, 1.5]))
    torch.testing.assert_close(ends, torch.tensor([-1.0, -1.0, 1.0, 1.0]) * math.log(1e5), atol=1e-3, rtol=0)


def test_residual_is_clamped_in_float16_only() -> None:
    x = torch.tensor([[60000.0, 1.0, -60000.0, 2.0]])
    keep = nn.Identity()
    assert residual_norm(x.half(), x.half(), keep).tolist() == [[FLOAT16_MAX, 2.0, -FLOAT16_MAX, 4.0]]
    assert residual_norm(x, x, keep).tolist() == [[120000.0, 2.0, -120000.0, 4.0]]
    assert residual_norm(x.bfloat16(), x.bfloat16(), keep).isfinite().all()
    norm = nn.LayerNorm(4)
    assert norm(residual_norm(x.half(), x.half(), keep).float()).isfinite().all()

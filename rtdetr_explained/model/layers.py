"""Building blocks shared by the stages: convolution with norm, MLP, multi-head self-attention, inverse sigmoid."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from rtdetr_explained.model.tap import Tap

FLOAT16_MAX = 65504.0


class FrozenBatchNorm2d(nn.Module):
    """Batch norm whose statistics and affine never change; all four are buffers, so they are not trained.

    Keys are those of `nn.BatchNorm2d` without `num_batches_tracked`.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, activation; padding keeps the size at stride 1."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, act: nn.Module | None = None
    ):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, (kernel_size - 1) // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(out_channels)
        self.act = act or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))

    def fold(self) -> None:
        """Make the norm part of the convolution, which then has a bias; the values stay the same in evaluation."""
        self.conv, self.norm = fold_norm(self.conv, self.norm), nn.Identity()


def fold_norm(conv: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    """One convolution with bias that equals `norm(conv(x))`; without a norm, the convolution as it is."""
    if isinstance(norm, nn.Identity):
        return conv
    assert isinstance(norm, nn.BatchNorm2d | FrozenBatchNorm2d)
    weight, bias, mean, var = (
        t.detach() for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var) if t is not None
    )
    scale = weight * (var + norm.eps).rsqrt()
    folded = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        groups=conv.groups,
    ).to(conv.weight)
    with torch.no_grad():
        folded.weight.copy_(conv.weight * scale[:, None, None, None])
        assert folded.bias is not None
        folded.bias.copy_(bias - mean * scale)
    return folded


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int, num_layers: int):
        super().__init__()
        dims = [in_dim] + [hidden_dim] * (num_layers - 1) + [out_dim]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(dims))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


def box_head(dim: int) -> MLP:
    """Three layers to a box correction in logit space; it starts at zero, so that at first it changes nothing."""
    head = MLP(dim, dim, 4, 3)
    last = head.layers[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return head


def class_head(dim: int, num_classes: int, prior: float = 0.01) -> nn.Linear:
    """Linear layer to class logits; its bias starts at ln(prior / (1 - prior)).

    At first every query then says "nothing", and the many background queries do not drown the loss.
    """
    head = nn.Linear(dim, num_classes)
    nn.init.constant_(head.bias, math.log(prior / (1 - prior)))
    return head


def xavier_linear(in_dim: int, out_dim: int) -> nn.Linear:
    """Linear layer with Xavier-uniform weights, where the reference starts them so."""
    linear = nn.Linear(in_dim, out_dim)
    nn.init.xavier_uniform_(linear.weight)
    return linear


class SelfAttention(nn.Module):
    """Multi-head self-attention: queries and keys see the positions, values do not.

    The softmax is computed in float32 and its result passes a tap, so that what is drawn is what was used.
    `token` names the attended axis in that tap: "token" in AIFI, "query" in the decoder.
    """

    def __init__(self, dim: int, num_heads: int, token: str):
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)
        self.weights = Tap(
            f"head {token} {token}_attended",
            "weight, sums to 1",
            f"How much each {token} attends to every other, per head.",
        )
        # Xavier over the three projections as one packed (3*dim, dim) matrix, as in torch's MultiheadAttention.
        for proj in (self.q_proj, self.k_proj, self.v_proj):
            nn.init.uniform_(proj.weight, -((6 / (4 * dim)) ** 0.5), (6 / (4 * dim)) ** 0.5)
            nn.init.zeros_(proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, pos: Tensor, blocked: Tensor | None = None) -> Tensor:
        """x, pos: B T D; blocked: T T, True where attention is forbidden. Returns B T D."""
        B, T, D = x.shape
        H = self.num_heads
        q = self.q_proj(x + pos).view(B, T, H, D // H).transpose(1, 2)  # B H T d
        k = self.k_proj(x + pos).view(B, T, H, D // H).transpose(1, 2)  # B H T d
        v = self.v_proj(x).view(B, T, H, D // H).transpose(1, 2)  # B H T d
        logits = (q * (D // H) ** -0.5) @ k.transpose(2, 3)  # B H T T
        if blocked is not None:
            logits = logits.masked_fill(blocked, float("-inf"))
        weights = self.weights(logits.float().softmax(-1))  # B H T T
        out = weights.to(v.dtype) @ v  # B H T d
        return self.out_proj(out.transpose(1, 2).reshape(B, T, D))


def residual_norm(x: Tensor, update: Tensor, norm: nn.Module) -> Tensor:
    """norm(x + update), post-norm; in float16 the sum can exceed 65504 after long training, so it is clamped there."""
    y = x + update
    if update.dtype == torch.float16:
        y = y.clamp(-FLOAT16_MAX, FLOAT16_MAX)
    return norm(y)


def inverse_sigmoid(x: Tensor, eps: float = 1e-5) -> Tensor:
    """ln(x / (1 - x)) with both terms kept above eps; x is clamped to 0..1 first."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))

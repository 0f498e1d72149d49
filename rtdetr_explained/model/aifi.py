"""AIFI, attention-based intra-scale feature interaction: plain self-attention inside S5 only.

Often misread: this is neither deformable attention nor attention across scales.
Source: rtdetrv2_pytorch/src/zoo/rtdetr/hybrid_encoder.py; RT-DETR paper (2304.08069), section 4.2.
"""

import torch
from torch import Tensor, nn

from rtdetr_explained.model.config import POSITION_TEMPERATURE, ModelConfig
from rtdetr_explained.model.layers import SelfAttention, residual_norm
from rtdetr_explained.model.tap import Tap


class AIFILayer(nn.Module):
    """One post-norm transformer encoder layer: self-attention, then a GELU feed-forward network."""

    def __init__(self, dim: int, ffn_dim: int, num_heads: int):
        super().__init__()
        self.self_attn = SelfAttention(dim, num_heads, "token")
        self.linear1 = nn.Linear(dim, ffn_dim)
        self.linear2 = nn.Linear(ffn_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, pos: Tensor) -> Tensor:
        x = residual_norm(x, self.self_attn(x, pos), self.norm1)
        return residual_norm(x, self.linear2(nn.functional.gelu(self.linear1(x))), self.norm2)


class AIFI(nn.Module):
    """The stride-32 map as a sequence of tokens that attend to each other."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.layers = nn.ModuleList([AIFILayer(config.hidden_dim, config.encoder_ffn_dim, config.num_heads)])
        self.position = Tap(
            "token channel", "sine and cosine, -1..1", "Where each token is: sine and cosine of row and column."
        )
        self.output = Tap("channel y x", "activation", "S5 after every token has seen every other token.")
        self._tables: dict[tuple, Tensor] = {}

    def forward(self, p5: Tensor) -> Tensor:
        """p5: B C h w. Returns the same shape."""
        B, C, h, w = p5.shape
        x = p5.flatten(2).transpose(1, 2)  # B T C, token = row * w + column
        pos = self.position(self.position_table(h, w, C, p5.device)[None]).to(x.dtype)  # 1 T C
        for layer in self.layers:
            x = layer(x, pos)
        return self.output(x.transpose(1, 2).reshape(B, C, h, w))

    def position_table(self, h: int, w: int, channels: int, device: torch.device) -> Tensor:
        """The table for a map of h x w, cached: the last few sizes are kept, so nothing grows with the inputs seen."""
        key = (h, w, channels, device)
        table = self._tables.get(key)
        if table is None:
            table = sincos_position_table(h, w, channels).to(device)
            self._tables = {**dict(list(self._tables.items())[-7:]), key: table}
        return table


def sincos_position_table(h: int, w: int, channels: int) -> Tensor:
    """2-D sine and cosine positions, T C with token = row * w + column: sin(row), cos(row), sin(col), cos(col).

    The reference code flattens its grid column-first, which scrambles the table when h != w; here row and column are
    always the true ones (as in transformers since PR 41380). On square maps both agree.
    """
    if channels % 4:
        raise ValueError(f"The position table needs a number of channels divisible by 4, not {channels}.")
    omega = POSITION_TEMPERATURE ** -(torch.arange(channels // 4, dtype=torch.float64) / (channels // 4))
    row = torch.arange(h, dtype=torch.float64).repeat_interleave(w)[:, None] * omega  # T C/4
    col = torch.arange(w, dtype=torch.float64).repeat(h)[:, None] * omega  # T C/4
    return torch.cat([row.sin(), row.cos(), col.sin(), col.cos()], dim=1).float()

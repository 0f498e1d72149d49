"""Multi-scale deformable attention, version 2: each query reads a few chosen points on three maps, not every cell.

Source: rtdetrv2_pytorch/src/zoo/rtdetr/rtdetrv2_decoder.py (`MSDeformableAttention`) and utils.py
(`deformable_attention_core_func_v2`); Deformable DETR (2010.04159), section 4.1; RT-DETRv2 (2407.17140), section 3.1.
"""

import math

import torch
from torch import Tensor, nn

from rtdetr_explained.model.config import OFFSET_SCALE
from rtdetr_explained.model.tap import Tap


class DeformableAttention(nn.Module):
    """Cross-attention from queries to sampled points of the token memory.

    `num_points` holds the points per level; all points of all levels lie on one flat axis P, level by level.
    """

    num_points_scale: Tensor

    def __init__(self, dim: int, num_heads: int, num_points: tuple[int, ...], method: str):
        super().__init__()
        self.num_heads = num_heads
        self.num_points = num_points
        self.method = method
        P = sum(num_points)
        self.sampling_offsets = nn.Linear(dim, num_heads * P * 2)
        self.attention_weights = nn.Linear(dim, num_heads * P)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        scale = [1 / p for p in num_points for _ in range(p)]
        self.register_buffer("num_points_scale", torch.tensor(scale))

        self.value = Tap("token head channel", "activation", "The memory as this layer's heads read it.")
        self.offsets = Tap("query head point xy", "raw offset", "What the network predicts for each sampling point.")
        self.sampling_locations = Tap(
            "query head point xy", "image, 0..1", "Where each sampling point lies in the image."
        )
        self.weights = Tap("query head point", "weight, sums to 1 per head", "How much each sampling point counts.")
        self.sampled_values = Tap("query head point channel", "activation", "What was read at each sampling point.")
        self.output = Tap("query channel", "activation", "Weighted sum of what was read, heads joined and projected.")
        self.reset_parameters()
        if method == "discrete":  # rounding passes no gradient to the offsets
            self.sampling_offsets.requires_grad_(False)

    def reset_parameters(self) -> None:
        """Offsets start as a star: head m points in direction m of eight, point k lies k steps out; equal weights."""
        angle = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)  # H 2
        direction = direction / direction.abs().amax(-1, keepdim=True)
        steps = torch.cat([torch.arange(1, p + 1) for p in self.num_points])  # P
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_((direction[:, None, :] * steps[:, None]).flatten())  # H P 2
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for proj in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(proj.weight)
            nn.init.zeros_(proj.bias)

    def forward(
        self,
        query: Tensor,
        reference_boxes: Tensor,
        memory: Tensor,
        map_sizes: list[tuple[int, int]],
        method: str | None = None,
    ) -> Tensor:
        """query: B Q D; reference_boxes: B Q 4, cxcywh in 0..1; memory: B N D. Returns B Q D.

        `method` replaces the configured sampling for this call.
        """
        B, Q, D = query.shape
        H, P = self.num_heads, sum(self.num_points)
        value = self.value(self.value_proj(memory).view(B, -1, H, D // H))  # B N H d
        offsets = self.offsets(self.sampling_offsets(query).float().view(B, Q, H, P, 2))  # B Q H P 2
        weights = self.attention_weights(query).float().view(B, Q, H, P).softmax(-1)  # B Q H P
        weights = self.weights(weights)

        # Locations stay in float32: half precision near 1.0 is coarser than a tenth of a pixel.
        center, size = reference_boxes.float()[:, :, None, None].split(2, dim=-1)  # B Q 1 1 2
        reach = self.num_points_scale[:, None] * size * OFFSET_SCALE  # B Q 1 P 2
        locations = self.sampling_locations(center + offsets * reach)  # B Q H P 2

        sample = sample_discrete if (method or self.method) == "discrete" else sample_bilinear
        sampled = []
        levels = value.split([h * w for h, w in map_sizes], dim=1)
        for level_value, (h, w), points in zip(levels, map_sizes, locations.split(self.num_points, dim=3), strict=True):
            maps = level_value.permute(0, 2, 3, 1).reshape(B * H, D // H, h, w)  # BH d h w
            sampled.append(sample(maps, points.transpose(1, 2).reshape(B * H, Q, -1, 2)))  # BH d Q p
        samples = torch.cat(sampled, dim=-1).view(B, H, D // H, Q, P)
        samples = self.sampled_values(samples.permute(0, 3, 1, 4, 2))  # B Q H P d, a view
        out = (samples.permute(0, 2, 4, 1, 3) * weights.transpose(1, 2)[:, :, None]).sum(-1)  # B H d Q
        out = out.permute(0, 3, 1, 2).reshape(B, Q, D).to(memory.dtype)
        return self.output(self.output_proj(out))


def sample_bilinear(maps: Tensor, locations: Tensor) -> Tensor:
    """Read maps (BH d h w) at locations (BH Q p 2, xy in 0..1), mixing the four nearest cells: BH d Q p.

    The centre of cell (row, col) lies at ((col + 0.5) / w, (row + 0.5) / h); outside the map everything is zero.
    Sampling runs in float32: in half precision the grid itself would be too coarse.
    """
    grid = 2 * locations - 1
    return nn.functional.grid_sample(
        maps.float().contiguous(), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def sample_discrete(maps: Tensor, locations: Tensor) -> Tensor:
    """Read maps (BH d h w) at locations (BH Q p 2), each from one cell: BH d Q p.

    The cell is trunc(location * size + 0.5), as in the reference, clamped to the map. The reference clamps both axes to
    the height, which is wrong for maps that are not square; here each axis has its own limit.
    """
    BH, d, h, w = maps.shape
    _, Q, p, _ = locations.shape
    col = (locations[..., 0] * w + 0.5).long().clamp(0, w - 1)
    row = (locations[..., 1] * h + 0.5).long().clamp(0, h - 1)
    cell = (row * w + col).reshape(BH, 1, Q * p).expand(-1, d, -1)
    return maps.float().flatten(2).gather(2, cell).view(BH, d, Q, p)

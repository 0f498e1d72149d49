"""CCFF, CNN-based cross-scale feature fusion: a top-down and a bottom-up path of convolutions, no attention.

Source: rtdetrv2_pytorch/src/zoo/rtdetr/hybrid_encoder.py; RT-DETR paper (2304.08069), section 4.2.
"""

import torch
from torch import Tensor, nn

from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.layers import ConvNorm
from rtdetr_explained.model.tap import Tap


class RepVggBlock(nn.Module):
    """3x3 and 1x1 convolution side by side; `fuse` turns them into one 3x3 convolution for inference."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, 3)
        self.conv2 = ConvNorm(channels, channels, 1)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv1(x) + self.conv2(x))


class CSPRepLayer(nn.Module):
    """Cross-stage partial block: one half goes through three RepVGG blocks, the other does not; both are added."""

    def __init__(self, in_channels: int, out_channels: int, expansion: float, num_blocks: int = 3):
        super().__init__()
        hidden = int(out_channels * expansion)
        self.conv1 = ConvNorm(in_channels, hidden, 1, act=nn.SiLU())
        self.conv2 = ConvNorm(in_channels, hidden, 1, act=nn.SiLU())
        self.bottlenecks = nn.Sequential(*[RepVggBlock(hidden) for _ in range(num_blocks)])
        self.conv3 = ConvNorm(hidden, out_channels, 1, act=nn.SiLU()) if hidden != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))


class CCFF(nn.Module):
    """Fuses P3, P4 and the attended P5 into N3, N4, N5: coarse meaning flows down, then fine detail flows up."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        C = config.hidden_dim
        self.lateral_convs = nn.ModuleList(ConvNorm(C, C, 1, act=nn.SiLU()) for _ in range(2))
        self.fpn_blocks = nn.ModuleList(CSPRepLayer(2 * C, C, config.expansion) for _ in range(2))
        self.downsample_convs = nn.ModuleList(ConvNorm(C, C, 3, 2, act=nn.SiLU()) for _ in range(2))
        self.pan_blocks = nn.ModuleList(CSPRepLayer(2 * C, C, config.expansion) for _ in range(2))

        self.t5 = Tap(
            "channel y x", "activation", "Attended P5 after its lateral convolution; replaces P5 from here on."
        )
        self.f4 = Tap("channel y x", "activation", "Top-down fusion at stride 16: upsampled T5 with P4.")
        self.t4 = Tap("channel y x", "activation", "F4 after its lateral convolution.")
        self.n3 = Tap("channel y x", "activation", "Top-down fusion at stride 8: first output of the encoder.")
        self.n4 = Tap("channel y x", "activation", "Bottom-up fusion at stride 16: second output.")
        self.n5 = Tap("channel y x", "activation", "Bottom-up fusion at stride 32: third output.")

    def forward(self, p3: Tensor, p4: Tensor, p5: Tensor) -> list[Tensor]:
        """p3, p4, p5: B C h w at strides 8, 16, 32. Returns N3, N4, N5 of the same shapes."""
        # Top-down: the coarser map is doubled in size and comes first in the concatenation.
        t5 = self.t5(self.lateral_convs[0](p5))
        f4 = self.f4(self.fpn_blocks[0](torch.cat([upsample(t5), p4], dim=1)))
        t4 = self.t4(self.lateral_convs[1](f4))
        n3 = self.n3(self.fpn_blocks[1](torch.cat([upsample(t4), p3], dim=1)))
        # Bottom-up: the finer map is halved in size and comes first.
        n4 = self.n4(self.pan_blocks[0](torch.cat([self.downsample_convs[0](n3), t4], dim=1)))
        n5 = self.n5(self.pan_blocks[1](torch.cat([self.downsample_convs[1](n4), t5], dim=1)))
        return [n3, n4, n5]


def upsample(x: Tensor) -> Tensor:
    """B C h w -> B C 2h 2w, nearest neighbour."""
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")

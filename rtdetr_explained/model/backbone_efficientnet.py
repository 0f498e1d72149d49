"""Backbone: EfficientNet-Lite0, a stem and four stages of inverted residual blocks; S3, S4 and S5 leave it.

Source: models/official/efficientnet/lite of tensorflow/tpu (Apache-2.0), which is EfficientNet-B0 (1905.11946, table 1)
without squeeze-excite and with ReLU6; the block is that of MobileNetV2 (1801.04381, figure 3). The seven stages of that
table are gathered into the four between which the map shrinks, so that both backbones name the same things.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from rtdetr_explained.model.config import LITE_STAGES, LITE_STEM, ModelConfig
from rtdetr_explained.model.layers import ConvNorm
from rtdetr_explained.model.tap import Tap

NORM_EPS = 1e-3


class SameConvNorm(ConvNorm):
    """Convolution, batch norm and perhaps ReLU6, with the padding that TensorFlow calls "same".

    With stride 2 the windows begin at the first pixel, so that one more pixel is added right and below than left and
    above: none and one for a 3x3, one and two for a 5x5.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1, act: bool = True
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, nn.ReLU6(inplace=True) if act else None)
        padding = (kernel_size - 1) // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, NORM_EPS)
        before = (kernel_size - 2) // 2
        self.uneven = (before, kernel_size - 2 - before) * 2 if stride == 2 else ()  # left, right, above, below

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.uneven) if self.uneven else x)


class InvertedResidual(nn.Module):
    """1x1 up to six times the channels, a convolution of each channel alone, 1x1 down again, and a residual.

    The other way round than a bottleneck: wide inside, where a depthwise convolution costs little, and narrow between
    blocks. The last convolution has no activation, which in so few channels would throw away too much. The residual
    joins the narrow ends, where their shapes agree.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, expansion: int):
        super().__init__()
        wide = in_channels * expansion
        self.expand = SameConvNorm(in_channels, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = SameConvNorm(wide, wide, kernel_size, stride, groups=wide)
        self.project = SameConvNorm(wide, out_channels, 1, act=False)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """Image to the three maps S3, S4, S5 at strides 8, 16 and 32."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.stem = SameConvNorm(3, LITE_STEM, 3, 2)
        stages, in_channels = [], LITE_STEM
        for runs in LITE_STAGES:
            blocks = []
            for kernel_size, first_stride, expansion, channels, num_blocks in runs:
                for b in range(num_blocks):
                    stride = first_stride if b == 0 else 1
                    blocks.append(InvertedResidual(in_channels, channels, kernel_size, stride, expansion))
                    in_channels = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

        self.stem_map = Tap("channel y x", "activation", "What leaves the stem's one convolution, at stride 2.")
        self.s2 = Tap("channel y x", "activation", "First stage, at stride 4; stays inside the backbone.")
        self.s3 = Tap("channel y x", "activation", "Second stage, at stride 8: fine detail for small objects.")
        self.s4 = Tap("channel y x", "activation", "Third stage, at stride 16.")
        self.s5 = Tap("channel y x", "activation", "Fourth stage, at stride 32: the most abstract map.")

        if config.freeze_norm:
            self.fold()
        if config.freeze_at >= 0:
            for module in (self.stem, *self.stages[: config.freeze_at]):
                module.requires_grad_(False)

    def fold(self) -> None:
        """Make every norm part of its convolution: one that never changes is only another scale and shift."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()

    def forward(self, images: Tensor) -> list[Tensor]:
        """images: B 3 H W in 0..1. Returns S3, S4, S5: B 40 H/8 W/8, B 112 H/16 W/16, B 320 H/32 W/32."""
        x = (images * 255 - 127) / 128  # the range its ImageNet weights were trained with
        x = self.stem_map(self.stem(x))  # B 32 H/2 W/2
        s2 = self.s2(self.stages[0](x))  # B 24 H/4 W/4
        s3 = self.s3(self.stages[1](s2))
        s4 = self.s4(self.stages[2](s3))
        s5 = self.s5(self.stages[3](s4))
        return [s3, s4, s5]

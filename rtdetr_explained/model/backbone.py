"""Backbone: ResNet-vd ("d" variant of PResNet), a stem and four stages; S3, S4 and S5 leave it.

Source: rtdetrv2_pytorch/src/nn/backbone/presnet.py.
"""

from torch import Tensor, nn

from rtdetr_explained.model.config import BLOCKS_PER_STAGE, ModelConfig
from rtdetr_explained.model.layers import ConvNorm, FrozenBatchNorm2d
from rtdetr_explained.model.tap import Tap


class Shortcut(nn.Module):
    """Projection beside the first block of a stage: average pool when the map shrinks, then 1x1 convolution and norm.

    Pooling before the 1x1 convolution is what the "d" variant changes: a strided 1x1 would ignore three pixels of four.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.pool = nn.AvgPool2d(2, 2, 0, ceil_mode=True) if stride == 2 else nn.Identity()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.pool(x)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a residual (depths 18 and 34)."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, project: bool):
        super().__init__()
        self.conv1 = ConvNorm(in_channels, width, 3, stride, nn.ReLU(inplace=True))
        self.conv2 = ConvNorm(width, width, 3)
        self.shortcut = Shortcut(in_channels, width, stride) if project else nn.Identity()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv2(self.conv1(x)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up to four times the width, and a residual (depths 50 and 101); the 3x3 carries the stride."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int, project: bool):
        super().__init__()
        self.conv1 = ConvNorm(in_channels, width, 1, 1, nn.ReLU(inplace=True))
        self.conv2 = ConvNorm(width, width, 3, stride, nn.ReLU(inplace=True))
        self.conv3 = ConvNorm(width, width * 4, 1)
        self.shortcut = Shortcut(in_channels, width * 4, stride) if project else nn.Identity()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x))


class ResNetVd(nn.Module):
    """Image to the three maps S3, S4, S5 at strides 8, 16 and 32."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        w = config.width
        self.stem = nn.Sequential(
            ConvNorm(3, w // 2, 3, 2, nn.ReLU(inplace=True)),
            ConvNorm(w // 2, w // 2, 3, 1, nn.ReLU(inplace=True)),
            ConvNorm(w // 2, w, 3, 1, nn.ReLU(inplace=True)),
        )
        self.pool = nn.MaxPool2d(3, 2, 1)
        block = Bottleneck if config.depth >= 50 else BasicBlock
        stages, in_channels = [], w
        for s, num_blocks in enumerate(BLOCKS_PER_STAGE[config.depth]):
            blocks = []
            for b in range(num_blocks):
                stride = 2 if b == 0 and s > 0 else 1
                blocks.append(block(in_channels, w * 2**s, stride, project=b == 0))
                in_channels = w * 2**s * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

        self.stem_map = Tap("channel y x", "activation", "What leaves the three stem convolutions, at stride 2.")
        self.s2 = Tap("channel y x", "activation", "First stage, at stride 4; stays inside the backbone.")
        self.s3 = Tap("channel y x", "activation", "Second stage, at stride 8: fine detail for small objects.")
        self.s4 = Tap("channel y x", "activation", "Third stage, at stride 16.")
        self.s5 = Tap("channel y x", "activation", "Fourth stage, at stride 32: the most abstract map.")

        if config.freeze_norm:
            freeze_norms(self)
        if config.freeze_at >= 0:
            for module in (self.stem, *self.stages[: config.freeze_at]):
                module.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """images: B 3 H W in 0..1. Returns S3, S4, S5: B C H/8 W/8, B 2C H/16 W/16, B 4C H/32 W/32."""
        x = self.pool(self.stem_map(self.stem(images)))  # B 64 H/4 W/4
        s2 = self.s2(self.stages[0](x))
        s3 = self.s3(self.stages[1](s2))
        s4 = self.s4(self.stages[2](s3))
        s5 = self.s5(self.stages[3](s4))
        return [s3, s4, s5]


def freeze_norms(module: nn.Module) -> None:
    """Replace every batch norm below `module` by a frozen one with the same values."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(child.num_features, child.eps)
            frozen.load_state_dict({k: v for k, v in child.state_dict().items() if k != "num_batches_tracked"})
            setattr(module, name, frozen)
        else:
            freeze_norms(child)

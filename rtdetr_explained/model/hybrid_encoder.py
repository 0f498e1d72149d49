"""Hybrid encoder: projection to one width, AIFI on the coarsest map, then CCFF across the three maps."""

from torch import Tensor, nn

from rtdetr_explained.model.aifi import AIFI
from rtdetr_explained.model.ccff import CCFF
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.layers import ConvNorm
from rtdetr_explained.model.tap import Tap


class HybridEncoder(nn.Module):
    """S3, S4, S5 of the backbone to the fused maps N3, N4, N5, all `hidden_dim` wide."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_proj = nn.ModuleList(ConvNorm(c, config.hidden_dim, 1) for c in config.backbone_channels)
        self.aifi = AIFI(config)
        self.ccff = CCFF(config)
        self.p3 = Tap("channel y x", "activation", "S3 projected to the encoder's width.")
        self.p4 = Tap("channel y x", "activation", "S4 projected to the encoder's width.")
        self.p5 = Tap("channel y x", "activation", "S5 projected to the encoder's width, before attention.")

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """maps: S3, S4, S5. Returns N3, N4, N5: B C H/8 W/8, B C H/16 W/16, B C H/32 W/32."""
        p3, p4, p5 = (proj(x) for proj, x in zip(self.input_proj, maps, strict=True))
        p3, p4, p5 = self.p3(p3), self.p4(p4), self.p5(p5)
        return self.ccff(p3, p4, self.aifi(p5))

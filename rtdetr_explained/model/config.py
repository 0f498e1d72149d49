"""The architecture of every variant as data.

Sources: the `configs/rtdetrv2/*.yml` files of lyuwenyu/RT-DETR for the five published models; `nano` and
`nano-photo` are this project's.
"""

from dataclasses import dataclass, replace

from rtdetr_explained.model.class_names import COCO_CLASSES, SHAPE_CLASSES, VOC_CLASSES
from rtdetr_explained.printable import printable

LEVEL_STRIDES = (8, 16, 32)  # S3, S4, S5
ANCHOR_SIZE = 0.05  # side of the square anchor on the finest level, in image widths; doubles on each coarser level
OFFSET_SCALE = 0.5  # an offset of one, divided by the points of its level, goes this part of the reference box
POSITION_TEMPERATURE = 10_000  # of AIFI's sine and cosine codes: how slowly the slowest of them turns
# Backbone "resnet_vd": blocks of the four stages, by depth.
BLOCKS_PER_STAGE = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
# Backbone "efficientnet_lite0": channels that leave the stem, and of each of the stages S2 to S5 its runs of equal
# blocks: kernel, stride of the first, expansion, channels, how many.
LITE_STEM = 32
LITE_STAGES = (
    ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2)),
    ((5, 2, 6, 40, 2),),
    ((3, 2, 6, 80, 3), (5, 1, 6, 112, 3)),
    ((5, 2, 6, 192, 4), (3, 1, 6, 320, 1)),
)
MAX_SIDE = 4096  # pixels of the input; attention in S5 then weighs 16,384 cells against each other
LIMITS = {  # what a file may ask for, so that no damaged one makes the program allocate without end
    "width": (1, 1024),
    "hidden_dim": (4, 4096),
    "encoder_ffn_dim": (1, 65536),
    "decoder_dim": (4, 4096),
    "decoder_ffn_dim": (1, 65536),
    "num_heads": (1, 256),
    "num_layers": (1, 64),
    "eval_idx": (-64, 63),
    "num_queries": (1, 10_000),
    "num_denoising": (0, 10_000),
}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the network's tensors and its forward formula; raises ValueError for what cannot be.

    `version` 1 is RT-DETR (2304.08069): the same network with the same number of points on each level, read bilinearly.

    `depth` and `width` are of the backbone "resnet_vd": `width` is the number of channels that leave the stem (64 in
    every published model), and stage s has `width * 2**s` channels, times 4 for the bottleneck depths 50 and 101. With
    `freeze_norm` the backbone's batch norms keep their statistics and their scale; "efficientnet_lite0" then folds them
    into its convolutions. `freeze_at = k >= 0` freezes the stem and the first k stages. `eval_idx` is the decoder layer
    whose output is used at inference; negative counts from the end. `num_points` holds the sampling points per head for
    each of the three levels.
    """

    name: str
    version: int = 2
    backbone: str = "resnet_vd"
    depth: int = 18
    width: int = 64
    freeze_norm: bool = False
    freeze_at: int = -1
    hidden_dim: int = 256
    encoder_ffn_dim: int = 1024
    expansion: float = 0.5
    decoder_dim: int = 256
    decoder_ffn_dim: int = 1024
    num_heads: int = 8
    num_layers: int = 3
    eval_idx: int = -1
    num_points: tuple[int, ...] = (4, 4, 4)
    num_queries: int = 300
    query_select_method: str = "default"
    cross_attn_method: str = "default"
    class_names: tuple[str, ...] = COCO_CLASSES
    image_size: tuple[int, int] = (640, 640)
    num_denoising: int = 100
    label_noise_ratio: float = 0.5
    box_noise_scale: float = 1.0

    def __post_init__(self) -> None:
        for field, (least, most) in LIMITS.items():
            value = getattr(self, field)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{field} is {value!r}, but must be a whole number from {least} to {most}.")
        size = self.image_size
        if len(size) != 2 or any(type(side) is not int or side % 32 or not 32 <= side <= MAX_SIDE for side in size):
            raise ValueError(f"image_size is {size!r}, but must be two multiples of 32 from 32 to {MAX_SIDE}.")
        if not self.class_names or not all(isinstance(name, str) for name in self.class_names):
            raise ValueError("class_names must be names, at least one.")
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "class_names", tuple(map(printable, self.class_names)))
        for field, allowed in (
            ("version", (1, 2)),
            ("backbone", ("resnet_vd", "efficientnet_lite0")),
            ("depth", (18, 34, 50, 101)),
            ("query_select_method", ("default", "one2many", "agnostic")),
            ("cross_attn_method", ("default", "discrete")),
        ):
            if getattr(self, field) not in allowed:
                raise ValueError(
                    f"{field} is {getattr(self, field)!r}, but must be one of {', '.join(map(str, allowed))}."
                )
        if (
            len(self.num_points) != len(LEVEL_STRIDES)
            or not all(type(p) is int for p in self.num_points)
            or min(self.num_points) < 1
        ):
            raise ValueError(
                f"num_points is {self.num_points}, but needs one count of at least 1 for each of the 3 levels."
            )

    @property
    def num_classes(self) -> int:
        """Number of object classes."""
        return len(self.class_names)

    @property
    def eval_layer(self) -> int:
        """Index of the decoder layer used at inference, counted from 0."""
        return self.eval_idx % self.num_layers

    @property
    def backbone_channels(self) -> tuple[int, int, int]:
        """Channels of S3, S4 and S5."""
        if self.backbone == "efficientnet_lite0":
            return tuple(runs[-1][3] for runs in LITE_STAGES[1:])  # type: ignore[return-value]
        expansion = 4 if self.depth >= 50 else 1
        return (self.width * 2 * expansion, self.width * 4 * expansion, self.width * 8 * expansion)


# Spec of the five published models: AP 48.1, 49.9, 51.9, 53.4, 54.3 on COCO val2017.
R18VD = ModelConfig("rtdetrv2_r18vd")
R34VD = ModelConfig("rtdetrv2_r34vd", depth=34, num_layers=4)
R50VD_M = ModelConfig("rtdetrv2_r50vd_m", depth=50, freeze_norm=True, freeze_at=0, num_layers=6, eval_idx=2)
R50VD = ModelConfig("rtdetrv2_r50vd", depth=50, freeze_norm=True, freeze_at=0, expansion=1.0, num_layers=6)
R101VD = ModelConfig(
    "rtdetrv2_r101vd",
    depth=101,
    freeze_norm=True,
    freeze_at=0,
    hidden_dim=384,
    encoder_ffn_dim=2048,
    expansion=1.0,
    num_layers=6,
)
# The embedded models: the same structure at half the hidden size. The one for drawn shapes has half the backbone's
# width, the one for photographs a backbone made for small computers, whose ImageNet weights it begins with.
NANO = ModelConfig(
    "nano",
    width=32,
    hidden_dim=128,
    encoder_ffn_dim=512,
    decoder_dim=128,
    decoder_ffn_dim=256,
    num_queries=100,
    num_denoising=50,
    class_names=SHAPE_CLASSES,
    image_size=(288, 288),
)
NANO_PHOTO = replace(
    NANO,
    name="nano-photo",
    backbone="efficientnet_lite0",
    width=ModelConfig.width,
    freeze_norm=True,
    freeze_at=2,
    class_names=VOC_CLASSES,
    image_size=(256, 256),
)

CONFIGS = {config.name: config for config in (NANO, NANO_PHOTO, R18VD, R34VD, R50VD_M, R50VD, R101VD)}

"""The models that can be loaded by name: two embedded ones, and the published COCO models of lyuwenyu/RT-DETR.

AP and AP50 on COCO val2017 are those of its README. Sizes and hashes are given where somebody other than a mirror has
published them; a file without them is still checked tensor by tensor when it is loaded.
"""

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS, ModelConfig

RELEASES = "https://github.com/lyuwenyu/storage/releases/download"
EMBEDDED = Path(__file__).parent  # the folder of the models that come with the package


@dataclass(frozen=True)
class ZooEntry:
    """One model. `config` names its architecture in `CONFIGS`; `url` is None for an embedded model.

    `parameters` is a count, `size` the exact file size in bytes where known, `ap` and `ap50` are in percent and None
    where nothing is published. A model is `discrete` when it was trained with discrete sampling; `num_points` holds its
    sampling points per level.
    """

    name: str
    title: str
    config: str
    parameters: int
    ap: float | None
    ap50: float | None
    url: str | None
    sha256: str | None = None
    size: int | None = None
    discrete: bool = False
    num_points: tuple[int, int, int] = (4, 4, 4)
    classes: str = "80 COCO classes"
    licence: str = "Apache-2.0"

    @property
    def architecture(self) -> ModelConfig:
        """The configuration of its network."""
        method = "discrete" if self.discrete else "default"
        return replace(CONFIGS[self.config], num_points=self.num_points, cross_attn_method=method)

    @property
    def filename(self) -> str:
        """Name of the weights file, in the cache or among the embedded ones."""
        return f"{self.name}.safetensors" if self.url is None else self.url.rsplit("/", 1)[1]

    @property
    def megabytes(self) -> int:
        """Size of the file in MB: exact where known, else what its parameters take (float32; embedded float16)."""
        return round((self.size or self.parameters * (2 if self.url is None else 4)) / 1e6)


ZOO = {
    entry.name: entry
    for entry in (
        ZooEntry(
            "nano",
            "nano, embedded",
            "nano",
            4_899_856,
            None,
            None,
            url=None,
            classes="12 shapes drawn by this project",
        ),
        ZooEntry(
            "nano-photo",
            "nano-photo, embedded",
            "nano-photo",
            5_044_528,
            None,
            None,
            url=None,
            classes="20 classes of Pascal VOC",
        ),
        # base models
        ZooEntry(
            "rtdetrv2_r18vd",
            "RT-DETRv2-S",
            "rtdetrv2_r18vd",
            20_184_464,
            48.1,
            65.1,
            f"{RELEASES}/v0.2/rtdetrv2_r18vd_120e_coco_rerun_48.1.pth",
            sha256="2ace52184b620204004509b72752ac7bfe64aadaf7fc1d076b18df8ab5a5c77e",
            size=81_198_974,
        ),
        ZooEntry(
            "rtdetrv2_r34vd",
            "RT-DETRv2-M*",
            "rtdetrv2_r34vd",
            31_441_668,
            49.9,
            67.5,
            f"{RELEASES}/v0.1/rtdetrv2_r34vd_120e_coco_ema.pth",
        ),
        ZooEntry(
            "rtdetrv2_r50vd_m",
            "RT-DETRv2-M",
            "rtdetrv2_r50vd_m",
            36_593_772,
            51.9,
            69.9,
            f"{RELEASES}/v0.1/rtdetrv2_r50vd_m_7x_coco_ema.pth",
        ),
        ZooEntry(
            "rtdetrv2_r50vd",
            "RT-DETRv2-L",
            "rtdetrv2_r50vd",
            42_891_372,
            53.4,
            71.6,
            f"{RELEASES}/v0.1/rtdetrv2_r50vd_6x_coco_ema.pth",
        ),
        ZooEntry(
            "rtdetrv2_r101vd",
            "RT-DETRv2-X",
            "rtdetrv2_r101vd",
            76_556_268,
            54.3,
            72.8,
            f"{RELEASES}/v0.1/rtdetrv2_r101vd_6x_coco_from_paddle.pth",
        ),
        # discrete sampling, fine-tuned from the base models
        ZooEntry(
            "rtdetrv2_r18vd_dsp",
            "RT-DETRv2-S, discrete sampling",
            "rtdetrv2_r18vd",
            20_184_464,
            47.4,
            64.8,
            f"{RELEASES}/v0.1/rtdetrv2_r18vd_dsp_3x_coco.pth",
            discrete=True,
        ),
        ZooEntry(
            "rtdetrv2_r34vd_dsp",
            "RT-DETRv2-M*, discrete sampling",
            "rtdetrv2_r34vd",
            31_441_668,
            49.2,
            67.1,
            f"{RELEASES}/v0.1/rrtdetrv2_r34vd_dsp_1x_coco.pth",  # the double r is in the published name
            discrete=True,
        ),
        ZooEntry(
            "rtdetrv2_r50vd_m_dsp",
            "RT-DETRv2-M, discrete sampling",
            "rtdetrv2_r50vd_m",
            36_593_772,
            51.4,
            69.7,
            f"{RELEASES}/v0.1/rtdetrv2_r50vd_m_dsp_3x_coco.pth",
            discrete=True,
        ),
        ZooEntry(
            "rtdetrv2_r50vd_dsp",
            "RT-DETRv2-L, discrete sampling",
            "rtdetrv2_r50vd",
            42_891_372,
            52.9,
            71.3,
            f"{RELEASES}/v0.1/rtdetrv2_r50vd_dsp_1x_coco.pth",
            discrete=True,
        ),
        # fewer sampling points per level
        ZooEntry(
            "rtdetrv2_r18vd_sp1",
            "RT-DETRv2-S, 1 point per level",
            "rtdetrv2_r18vd",
            20_017_928,
            47.3,
            64.3,
            f"{RELEASES}/v0.1/rtdetrv2_r18vd_sp1_120e_coco.pth",
            num_points=(1, 1, 1),
        ),
        ZooEntry(
            "rtdetrv2_r18vd_sp2",
            "RT-DETRv2-S, 2 points per level",
            "rtdetrv2_r18vd",
            20_073_440,
            47.7,
            64.7,
            f"{RELEASES}/v0.1/rtdetrv2_r18vd_sp2_120e_coco.pth",
            num_points=(2, 2, 2),
        ),
        ZooEntry(
            "rtdetrv2_r18vd_sp3",
            "RT-DETRv2-S, 3 points per level",
            "rtdetrv2_r18vd",
            20_128_952,
            47.8,
            64.8,
            f"{RELEASES}/v0.1/rtdetrv2_r18vd_sp3_120e_coco.pth",
            num_points=(3, 3, 3),
        ),
    )
}


def find(name: str) -> ZooEntry:
    """The entry of that name; InputError that names the closest ones when there is none."""
    if name in ZOO:
        return ZOO[name]
    close = difflib.get_close_matches(name, ZOO, n=3) or list(ZOO)
    raise InputError(f"There is no model named {name!r}; did you mean {', '.join(close)}?")

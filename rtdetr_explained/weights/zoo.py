"""The models that can be loaded by name: two embedded ones, and the published COCO models of lyuwenyu/RT-DETR.

AP and AP50 on COCO val2017 are those of its README. Sizes and hashes are given where somebody other than a mirror has
published them; a file without them is still checked tensor by tensor when it is loaded.
"""

import difflib
from collections.abc import Iterator
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
    sampling points per level. `limits` say what it is weak at.
    """

    name: str
    title: str
    config: str
    parameters: int
    ap: float | None = None
    ap50: float | None = None
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    discrete: bool = False
    num_points: tuple[int, int, int] = (4, 4, 4)
    classes: str = "80 COCO classes"
    licence: str = "Apache-2.0"
    limits: str = ""

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


# name, size, parameters, AP, AP50, file of a release, points per level; "_dsp" is for discrete sampling
PUBLISHED = (
    ("rtdetrv2_r18vd", "S", 20_184_464, 48.1, 65.1, "v0.2/rtdetrv2_r18vd_120e_coco_rerun_48.1.pth", 4),
    ("rtdetrv2_r34vd", "M*", 31_441_668, 49.9, 67.5, "v0.1/rtdetrv2_r34vd_120e_coco_ema.pth", 4),
    ("rtdetrv2_r50vd_m", "M", 36_593_772, 51.9, 69.9, "v0.1/rtdetrv2_r50vd_m_7x_coco_ema.pth", 4),
    ("rtdetrv2_r50vd", "L", 42_891_372, 53.4, 71.6, "v0.1/rtdetrv2_r50vd_6x_coco_ema.pth", 4),
    ("rtdetrv2_r101vd", "X", 76_556_268, 54.3, 72.8, "v0.1/rtdetrv2_r101vd_6x_coco_from_paddle.pth", 4),
    # fine-tuned from those above; the double r is in the published name
    ("rtdetrv2_r18vd_dsp", "S", 20_184_464, 47.4, 64.8, "v0.1/rtdetrv2_r18vd_dsp_3x_coco.pth", 4),
    ("rtdetrv2_r34vd_dsp", "M*", 31_441_668, 49.2, 67.1, "v0.1/rrtdetrv2_r34vd_dsp_1x_coco.pth", 4),
    ("rtdetrv2_r50vd_m_dsp", "M", 36_593_772, 51.4, 69.7, "v0.1/rtdetrv2_r50vd_m_dsp_3x_coco.pth", 4),
    ("rtdetrv2_r50vd_dsp", "L", 42_891_372, 52.9, 71.3, "v0.1/rtdetrv2_r50vd_dsp_1x_coco.pth", 4),
    ("rtdetrv2_r18vd_sp1", "S", 20_017_928, 47.3, 64.3, "v0.1/rtdetrv2_r18vd_sp1_120e_coco.pth", 1),
    ("rtdetrv2_r18vd_sp2", "S", 20_073_440, 47.7, 64.7, "v0.1/rtdetrv2_r18vd_sp2_120e_coco.pth", 2),
    ("rtdetrv2_r18vd_sp3", "S", 20_128_952, 47.8, 64.8, "v0.1/rtdetrv2_r18vd_sp3_120e_coco.pth", 3),
)  # fmt: skip
# Sizes in bytes and hashes of files, where somebody other than a mirror has published them.
KNOWN = {"rtdetrv2_r18vd": (81_198_974, "2ace52184b620204004509b72752ac7bfe64aadaf7fc1d076b18df8ab5a5c77e")}
KINDS = {"_dsp": ", discrete sampling"} | {f"_sp{n}": f", {n} point{'s' * (n > 1)} per level" for n in (1, 2, 3)}


def _published() -> Iterator[ZooEntry]:
    for name, size, parameters, ap, ap50, file, points in PUBLISHED:
        size_bytes, sha256 = KNOWN.get(name, (None, None))
        kind = name[-4:] if name[-4:] in KINDS else ""
        yield ZooEntry(
            name,
            f"RT-DETRv2-{size}{KINDS.get(kind, '')}",
            name.removesuffix(kind),
            parameters,
            ap,
            ap50,
            f"{RELEASES}/{file}",
            sha256,
            size_bytes,
            discrete=kind == "_dsp",
            num_points=(points, points, points),
        )


EMBEDDED_MODELS = (
    ZooEntry("nano", "nano, embedded", "nano", 4_899_856, classes="12 shapes drawn by this project"),
    ZooEntry(
        "nano-photo",
        "nano-photo, embedded",
        "nano-photo",
        5_044_528,
        classes="20 classes of Pascal VOC",
        limits="misses many small objects",
    ),
)
ZOO = {entry.name: entry for entry in (*EMBEDDED_MODELS, *_published())}


def find(name: str) -> ZooEntry:
    """The entry of that name; InputError that names the closest ones when there is none."""
    if name in ZOO:
        return ZOO[name]
    close = difflib.get_close_matches(name, ZOO, n=3) or list(ZOO)
    raise InputError(f"There is no model named {name!r}; did you mean {', '.join(close)}?")

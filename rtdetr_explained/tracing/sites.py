"""Sites: the named places of a model whose tensors a trace can hold, and which of them it holds."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

STAGES: tuple[str, ...] = (
    "overview",
    "backbone",
    "aifi",
    "ccff",
    "query_selection",
    "decoder",
    "deformable_attention",
    "denoising",
)

# What a trace must hold to answer its own questions and to be re-run, and what is too small to leave out.
ALWAYS: tuple[str, ...] = (
    "hybrid_encoder.ccff.n[345]",
    "query_selection.anchors",
    "query_selection.valid_mask",
    "query_selection.scores",
    "query_selection.topk_indices",
    "query_selection.reference_boxes",
    "query_selection.content",
    "decoder.layers.[0-9].reference_boxes",
    "decoder.layers.[0-9].output",
    "decoder.layers.[0-9].boxes",
    "decoder.logits",
    "decoder.boxes",
    "denoising.*",
)
# The default set, next to ALWAYS: what the eight illustrations draw. Large maps are kept in half precision there: a
# colour needs no more, and a trace of R18 at 640 px stays under 25 MB. Sampling is kept exact, to be recomputed from.
FIGURES_EXACT = (
    "decoder.layers.*.cross_attn.sampling_locations",
    "decoder.layers.*.cross_attn.weights",
)
FIGURES_HALF = (
    "backbone.s[345]",
    "hybrid_encoder.p5",
    "hybrid_encoder.aifi.*",
    "hybrid_encoder.ccff.t5",
    "hybrid_encoder.ccff.f4",
    "query_selection.class_logits",
    "decoder.layers.*.self_attn.weights",
    "decoder.layers.*.cross_attn.offsets",
)

Keep = Callable[[str], str | None]  # site name -> "exact", "half" or None


@dataclass(frozen=True)
class SiteInfo:
    """One site of a trace; `shape` is without the batch dimension, `captured` tells whether its values were kept."""

    name: str
    axes: tuple[str, ...]
    unit: str
    doc: str
    shape: tuple[int, ...]
    dtype: str
    captured: bool

    @property
    def stage(self) -> str:
        """The slug of the stage this site belongs to."""
        return stage_of(self.name)

    @property
    def nbytes(self) -> int:
        """Bytes of the values as kept (or as they would be)."""
        size = {"bool": 1, "float16": 2, "bfloat16": 2, "int64": 8}.get(self.dtype, 4)
        for n in self.shape:
            size *= n
        return size


def stage_of(name: str) -> str:
    """The slug of the stage that a site or module belongs to."""
    parts = name.replace("[", ".").split(".")  # outputs of a module that returns several are module[0] and on
    if parts[0] == "hybrid_encoder":
        # The projections to the encoder's width belong to where the maps go: P5 to AIFI, P3 and P4 to the fusion.
        return "aifi" if parts[1] in ("p5", "aifi") or parts[1:3] == ["input_proj", "2"] else "ccff"
    if ".cross_attn" in name:
        return "deformable_attention"
    return parts[0] if parts[0] in STAGES else "overview"


def keeper(sites: str | Iterable[str], known: Iterable[str]) -> Keep:
    """Turn a choice of sites into a rule: "figures", "all", a name or glob, or a list of them.

    Raises KeyError, naming close matches, when a name or glob fits no known site.
    """
    patterns = [sites] if isinstance(sites, str) else list(sites)
    exact, half = list(ALWAYS), list[str]()
    for pattern in patterns:
        if pattern == "all":
            exact.append("*")
        elif pattern == "figures":
            exact += FIGURES_EXACT
            half += FIGURES_HALF
        elif any(fnmatchcase(name, pattern) for name in known):
            exact.append(pattern)
        else:
            raise unknown_site(pattern, known)

    def keep(name: str) -> str | None:
        if any(fnmatchcase(name, pattern) for pattern in exact):
            return "exact"
        return "half" if any(fnmatchcase(name, pattern) for pattern in half) else None

    return keep


def unknown_site(name: str, known: Iterable[str]) -> KeyError:
    """The error for a site that does not exist."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    hint = f" Close matches: {', '.join(close)}." if close else " See trace.sites() for all names."
    return KeyError(f"There is no site {name!r}.{hint}")

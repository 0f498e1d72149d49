"""The one place of colours: tokens with one meaning each, for a light and a dark page.

The categorical colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), safe for colour-blind readers. Colour is
never the only sign: levels also differ by marker shape, boxes by a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Theme = Literal["light", "dark"]
Scale = Literal["sequential", "diverging", "overlay", "overlay_bar"]

LEVEL_NAMES = ("S3", "S4", "S5")
LEVEL_MARKERS: tuple[Literal["circle", "square", "diamond"], ...] = ("circle", "square", "diamond")  # S3, S4, S5
LEVEL_COLORS = ("#0072B2", "#E69F00", "#009E73")  # S3 blue, S4 orange, S5 green
SELECTED = "#D55E00"  # the selected query or cell
COMPARED = "#56B4E9"  # the query it is compared with
POSITIVE = "#009E73"  # positive denoising query
NEGATIVE = "#CC79A7"  # negative denoising query
ON_PHOTO = "#F2F4F6"  # marks without a meaning of their own that lie on the photo
PHOTO_HALO = "#15181C"  # the thin dark outline that parts any mark from the photo

# Colours by meaning that differ between the themes: a mark holds the token, the renderer resolves it.
TEXT, MUTED, GREY, LINE = "text", "muted", "grey", "line"
BACKGROUND, SURFACE = "background", "surface"
ALLOWED, BLOCKED = "allowed", "blocked"  # in an attention mask
TIME, PARAMETERS, OPERATIONS = "time", "parameters", "operations"  # the three measures of a stage

# Magnitudes: viridis, perceptually even. Ten stops, linear in between, so that every renderer shows the same colours.
SEQUENTIAL = (
    "#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
)  # fmt: skip

# Magnitudes on a darkened photo: from transparent to the accent.
OVERLAY = ("#F0E44200", "#F0E442CC")
OVERLAY_BAR = (PHOTO_HALO, "#F0E442")  # the same as it looks on the dark photo


@dataclass(frozen=True)
class Palette:
    """Colours of one theme. `diverging` runs from negative over zero to positive; zero is close to the page."""

    theme: Theme
    background: str  # the page
    surface: str  # panels on the page
    text: str
    muted: str  # secondary text, units, captions
    grey: str  # everything that has no meaning of its own: other queries, other boxes
    line: str  # frames and grids
    allowed: str  # what an attention mask lets through, and what it blocks
    blocked: str
    time: str  # the three measures of a stage
    parameters: str
    operations: str
    diverging: tuple[str, ...]


LIGHT = Palette(
    theme="light",
    background="#FFFFFF",
    surface="#F3F5F7",
    text="#1F2933",
    muted="#5B6875",
    grey="#8A9199",
    line="#D5DBE1",
    allowed="#F3F5F7",
    blocked="#1F2933",
    time="#44546A",
    parameters="#7C8DA3",
    operations="#B3BFCC",
    diverging=("#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b"),
)
DARK = Palette(
    theme="dark",
    background="#15181C",
    surface="#20252B",
    text="#E4E8EC",
    muted="#A3AFBB",
    grey="#8A9199",
    line="#39424C",
    allowed="#A3AFBB",
    blocked="#20252B",
    time="#C3CEDA",
    parameters="#8B9CB1",
    operations="#566477",
    diverging=("#74b9ee", "#3f86c0", "#27496b", "#20252b", "#6b3328", "#c4573f", "#f59a7c"),
)
PALETTES = {"light": LIGHT, "dark": DARK}


def palette(theme: str) -> Palette:
    """The colours of "light" or "dark". Raises ValueError for anything else."""
    if theme not in PALETTES:
        raise ValueError(f"There is no theme {theme!r}; use one of {', '.join(PALETTES)}.")
    return PALETTES[theme]


def resolve(color: str, theme: Theme) -> str:
    """The "#rrggbb" of a token in a theme; a colour of its own stays as it is. Raises ValueError for anything else."""
    if color.startswith("#"):
        return color
    found = getattr(palette(theme), color, None)
    if not isinstance(found, str):
        raise ValueError(f"There is no colour {color!r}; use a token of the palette or #rrggbb.")
    return found


def color_scale(scale: Scale | tuple[str, ...], theme: Theme) -> tuple[str, ...]:
    """Evenly spaced colours of "sequential" (magnitudes), "diverging" (signed, zero in the middle) or "overlay".

    An overlay lies on a darkened photo: transparent where the value is low, the accent colour where it is high;
    "overlay_bar" is how that looks there. Colours of its own are resolved one by one.
    """
    if isinstance(scale, tuple):
        return tuple(resolve(color, theme) for color in scale)
    scales = {"sequential": SEQUENTIAL, "overlay": OVERLAY, "overlay_bar": OVERLAY_BAR}
    return palette(theme).diverging if scale == "diverging" else scales[scale]


def halo_color(color: str) -> str:
    """The outline that parts a stroke from a photo: dark around the near-white of neutral marks, else light."""
    return PHOTO_HALO if color == ON_PHOTO else ON_PHOTO


def rgba(color: str, alpha: float) -> str:
    """A "#rrggbb" colour with opacity 0..1, in the notation of CSS and plotly."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def text_on(color: str) -> str:
    """Black or white, whichever is easier to read on a "#rrggbb" colour (WCAG relative luminance)."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#FFFFFF"

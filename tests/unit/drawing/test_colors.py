"""Colours: one meaning each, readable, the same for every renderer."""

import re
from pathlib import Path

import pytest
from matplotlib.colors import LinearSegmentedColormap

from rtdetr_explained.drawing import colors

CONFIG = Path(__file__).parents[3] / ".streamlit" / "config.toml"


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read_on_the_page(theme: str) -> None:
    palette = colors.palette(theme)
    assert contrast(palette.text, palette.background) > 7
    assert contrast(palette.muted, palette.background) > 4.5
    assert contrast(palette.grey, palette.background) > 3


def test_an_unknown_theme_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no theme 'sepia'; use one of light, dark"):
        colors.palette("sepia")


def test_every_meaning_has_its_own_colour() -> None:
    meanings = [*colors.LEVEL_COLORS, colors.SELECTED, colors.COMPARED, colors.NEGATIVE]
    assert len(set(meanings)) == len(meanings)
    assert colors.POSITIVE not in (colors.NEGATIVE, colors.SELECTED)


@pytest.mark.parametrize("color", [*colors.LEVEL_COLORS, colors.SELECTED, colors.ON_PHOTO, colors.PHOTO_HALO])
def test_text_on_a_colour_takes_the_better_of_black_and_white(color: str) -> None:
    chosen = colors.text_on(color)
    assert contrast(chosen, color) == max(contrast("#000000", color), contrast("#FFFFFF", color))


@pytest.mark.parametrize("kind", ["sequential", "diverging", "overlay"])
def test_scales_are_colours_that_matplotlib_knows(kind: colors.Scale) -> None:
    scale = LinearSegmentedColormap.from_list(kind, list(colors.color_scale(kind, "dark")))
    assert scale(0.0) != scale(1.0)


def test_zero_of_the_diverging_scale_is_near_the_page_and_its_ends_are_far() -> None:
    for theme in ("light", "dark"):
        page, scale = colors.palette(theme).background, colors.color_scale("diverging", theme)
        assert len(scale) % 2 == 1
        assert contrast(scale[len(scale) // 2], page) < 1.3
        assert min(contrast(scale[0], page), contrast(scale[-1], page)) > 4


def test_an_overlay_starts_transparent() -> None:
    start, end = colors.color_scale("overlay", "light")
    assert start.endswith("00")
    assert int(end[7:], 16) > 150


def test_rgba() -> None:
    assert colors.rgba("#D55E00", 0.5) == "rgba(213,94,0,0.5)"


def test_the_theme_of_the_app_uses_the_same_colours() -> None:
    text = CONFIG.read_text()
    for name in ("light", "dark"):
        section, palette = text.split(f"[theme.{name}]")[1].split("[")[0], colors.palette(name)
        assert f'backgroundColor = "{palette.background}"' in section
        assert f'secondaryBackgroundColor = "{palette.surface}"' in section
        assert f'textColor = "{palette.text}"' in section
    categorical = re.findall(r'"(#\w+)"', text.split("chartCategoricalColors")[1].split("]")[0])
    sequential = re.findall(r'"(#\w+)"', text.split("chartSequentialColors")[1].split("]")[0])
    meanings = [*colors.LEVEL_COLORS, colors.SELECTED, colors.COMPARED, colors.NEGATIVE, colors.LIGHT.grey]
    assert categorical == meanings
    assert sequential == list(colors.SEQUENTIAL)

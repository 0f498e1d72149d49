"""Photos on one sheet."""

import numpy as np
import pytest
from PIL import Image

from rtdetr_explained.illustrations.contact_sheet import GAP_PX, LINE_PX, TILE_PX, contact_sheet


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (4, 3, 2), (9, 3, 3)])
def test_every_photo_lies_whole_in_its_tile(count: int, columns: int, rows: int):
    photos = [Image.new("RGB", (900, 300) if i % 2 else (60, 90), (10 * i, 200, 0)) for i in range(count)]
    sheet = contact_sheet(photos, [f"{i}.png" for i in range(count)])
    width, height = TILE_PX[0] + GAP_PX, TILE_PX[1] + GAP_PX + LINE_PX
    assert sheet.size == (GAP_PX + columns * width, GAP_PX + rows * height)
    pixels = np.asarray(sheet)
    for i, photo in enumerate(photos):
        ys, xs = np.nonzero((pixels == (10 * i, 200, 0)).all(-1))
        wide, high = (480, 160) if i % 2 else photo.size
        assert (np.ptp(xs) + 1, np.ptp(ys) + 1) == (wide, high)
        middle = GAP_PX + i % 3 * width + TILE_PX[0] / 2, GAP_PX + i // 3 * height + TILE_PX[1] / 2
        np.testing.assert_allclose([xs.mean() + 0.5, ys.mean() + 0.5], middle, atol=1)


def test_a_long_line_stays_below_its_photo():
    sheet = np.asarray(contact_sheet([Image.new("RGB", TILE_PX)] * 2, ["m" * 400, ""]))
    below = np.nonzero(sheet[GAP_PX + TILE_PX[1] :] < 128)[1]  # the columns with ink
    assert len(below)
    assert below.max() < GAP_PX + TILE_PX[0]

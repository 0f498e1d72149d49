"""Where things go."""

import numpy as np
import pytest
from PIL import Image

from rtdetr_explained.drawing.layout import photo_part


@pytest.mark.parametrize("size", [(100, 80), (50, 80), (400, 160)])
@pytest.mark.parametrize("region", [(40, 32, 200, 128), (0, 0, 400, 160), (210.5, 33.3, 390, 159)])
def test_the_part_of_a_photo_lies_where_its_pixels_are(
    size: tuple[int, int], region: tuple[float, float, float, float]
) -> None:
    """The image has 400 × 160 pixels; the photo is kept in another size, not always with the same proportions."""
    y, x = np.mgrid[: size[1], : size[0]]
    photo = Image.fromarray(np.stack([x % 256, y, x // 256], axis=2).astype(np.uint8))
    part = photo_part(photo, (400, 160), region)
    first, last = (np.asarray(part.image)[i, i].astype(int) for i in (0, -1))
    wide, tall = 400 / size[0], 160 / size[1]  # of a pixel of the photo, in pixels of the image
    shown = [first[0] + 256 * first[2], first[1], last[0] + 256 * last[2] + 1, last[1] + 1]
    assert part.extent == pytest.approx(np.array(shown) * [wide, tall, wide, tall])
    x0, y0, x1, y1 = part.extent
    assert region[0] - wide < x0 <= region[0]
    assert region[1] - tall < y0 <= region[1]
    assert region[2] <= x1 < region[2] + wide
    assert region[3] <= y1 < region[3] + tall

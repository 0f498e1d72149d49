"""Several photos on one sheet, each with a line below it."""

from collections.abc import Sequence
from math import ceil

from PIL import Image, ImageDraw, ImageFont

TILE_PX = (480, 360)
COLUMNS, GAP_PX, LINE_PX = 3, 12, 24
PAPER, INK = "#FFFFFF", "#1F2933"


def contact_sheet(photos: Sequence[Image.Image], lines: Sequence[str]) -> Image.Image:
    """The photos in rows of three, made smaller to fit into `TILE_PX`, with their lines cut to that width."""
    columns = min(COLUMNS, len(photos))
    width, height = TILE_PX[0] + GAP_PX, TILE_PX[1] + GAP_PX + LINE_PX
    rows = ceil(len(photos) / COLUMNS)
    sheet = Image.new("RGB", (GAP_PX + columns * width, GAP_PX + rows * height), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for place, (photo, line) in enumerate(zip(photos, lines, strict=True)):
        row, column = divmod(place, COLUMNS)
        left, top = GAP_PX + column * width, GAP_PX + row * height
        small = photo.copy()
        small.thumbnail(TILE_PX)
        sheet.paste(small, (left + (TILE_PX[0] - small.width) // 2, top + (TILE_PX[1] - small.height) // 2))
        while line and pen.textlength(line, font=font) > TILE_PX[0]:
            line = line[:-2].rstrip("…") + "…" if len(line) > 2 else ""
        pen.text((left, top + TILE_PX[1] + 4), line, font=font, fill=INK)
    return sheet

"""Export: valid files, the same bytes for the same figure, from any thread."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from rtdetr_explained.drawing import export
from rtdetr_explained.errors import InputError


def figure() -> Figure:
    made = Figure(figsize=(3, 2), facecolor="#15181C")
    axes = made.add_axes((0.2, 0.2, 0.7, 0.7))
    axes.imshow(np.arange(12.0).reshape(3, 4))
    axes.set_title("attention")
    return made


@pytest.mark.parametrize("format", export.FORMATS)
def test_the_same_figure_gives_the_same_bytes(format: str) -> None:
    assert export.to_bytes(figure(), format) == export.to_bytes(figure(), format)


def test_svg_is_xml_with_text_as_text() -> None:
    root = ElementTree.fromstring(export.to_bytes(figure(), "svg"))
    assert root.tag.endswith("svg")
    assert "attention" in [node.text for node in root.iter() if node.tag.endswith("text")]


def test_pdf_is_whole() -> None:
    data = export.to_bytes(figure(), "pdf")
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert b"CreationDate" not in data


def test_png_has_the_page_colour_and_enough_pixels() -> None:
    image = Image.open(io.BytesIO(export.to_bytes(figure(), "png")))
    assert image.width > 400
    assert image.convert("RGB").getpixel((1, 1)) == (0x15, 0x18, 0x1C)


def test_other_formats_are_refused() -> None:
    with pytest.raises(InputError, match=r"cannot be exported as 'gif'; choose one of svg, pdf, png"):
        export.to_bytes(figure(), "gif")


def test_threads_do_not_disturb_each_other() -> None:
    expected = export.to_bytes(figure(), "svg")
    barrier = threading.Barrier(4)

    def work(_: int) -> bytes:
        barrier.wait()
        return export.to_bytes(figure(), "svg")

    with ThreadPoolExecutor(4) as pool:
        assert all(data == expected for data in pool.map(work, range(4)))


@pytest.mark.parametrize(
    ("image", "name"),
    [("bus.jpg", "aifi-bus.svg"), ("holiday/my photo (2).png", "aifi-my-photo-2.svg"), ("日本.png", "aifi-image.svg")],
)
def test_file_names_suit_any_system(image: str, name: str) -> None:
    assert export.file_name("aifi", image, "svg") == name

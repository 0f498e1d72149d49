"""Reading images: every kind of picture comes out as upright RGB, everything else as one sentence."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from turned_photos import save_turned

from rtdetr_explained.data.images import OWN, UPLOAD, image_sha256, open_image, picture_size, to_model_input
from rtdetr_explained.errors import InputError

# A 6×4 picture whose four quarters differ, so that a turn or a swapped channel shows.
PICTURE = np.zeros((4, 6, 3), np.uint8)
PICTURE[:2, :3] = 255, 0, 0
PICTURE[:2, 3:] = 0, 255, 0
PICTURE[2:, :3] = 0, 0, 255
PICTURE[2:, 3:] = 200, 100, 50


def encode(image: Image.Image, format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def pixels(source) -> np.ndarray:
    image = open_image(source)
    assert image.mode == "RGB"
    return np.asarray(image)


PNG_START = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to no data."""

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG_START + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def test_every_kind_of_source_gives_the_same_picture(tmp_path):
    image = Image.fromarray(PICTURE)
    data = encode(image)
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    read_before = io.BytesIO(data)
    read_before.read()
    sources = [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), read_before, image, PICTURE]
    with path.open("rb") as file:
        sources.append(file)
        for source in sources:
            np.testing.assert_array_equal(pixels(source), PICTURE)


@pytest.mark.parametrize(
    ("format", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("JPEG", {"subsampling": 0})]
)
def test_formats_are_recognised_by_content_not_by_name(tmp_path, format, options):
    big = np.repeat(np.repeat(PICTURE, 16, 0), 16, 1)  # whole JPEG blocks of one colour
    path = tmp_path / "picture.txt"
    path.write_bytes(encode(Image.fromarray(big), format, **options))
    np.testing.assert_allclose(pixels(path).astype(int), big, atol=4 if format == "JPEG" else 0)


@pytest.mark.parametrize("format", ["GIF", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused(format):
    with pytest.raises(InputError, match="is not a JPEG, PNG, WebP or BMP image"):
        open_image(encode(Image.fromarray(PICTURE), format))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_exif_orientation_is_applied_once(orientation, mode, tmp_path):
    if mode == "RGB":
        upright, picture = PICTURE, Image.fromarray(PICTURE)
    else:
        grey = PICTURE[:, :, 0]
        upright = np.repeat(grey[:, :, None], 3, 2)
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    path = tmp_path / "phone.png"
    save_turned(picture, path, orientation)
    np.testing.assert_array_equal(pixels(path), upright)
    np.testing.assert_array_equal(pixels(open_image(path)), upright)  # read again, it is not turned again
    np.testing.assert_array_equal(pixels(Image.open(path)), upright)
    np.testing.assert_array_equal(pixels(encode(open_image(path))), upright)
    assert picture_size(path) == (6, 4)
    assert open_image(path, upright=False).size == ((6, 4) if orientation < 5 else (4, 6))


def test_unreadable_exif_does_not_refuse_the_picture():
    data = encode(Image.fromarray(PICTURE), exif=b"Exif\x00\x00this is not a TIFF header")
    np.testing.assert_array_equal(pixels(data), PICTURE)


def test_cmyk_jpeg():
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow make red
    np.testing.assert_allclose(pixels(encode(cmyk, "JPEG", quality=100))[8, 8], (255, 0, 0), atol=4)


def test_phone_jpeg_with_a_second_picture_inside():
    first = Image.new("RGB", (16, 16), (250, 10, 10))
    data = encode(first, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert pixels(data).shape == (16, 16, 3)


def test_palette():
    np.testing.assert_array_equal(pixels(encode(Image.fromarray(PICTURE).quantize(8))), PICTURE)


def test_a_palette_picture_without_its_palette_is_refused():
    header = struct.pack(">IIBBBBB", 2, 2, 8, 3, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0\1\0\1\0")) + chunk(b"IEND", b"")
    with pytest.raises(InputError, match="lacks the list"):
        open_image(PNG_START + body)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_black_and_white_and_grey(mode):
    image = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert(mode)
    np.testing.assert_array_equal(pixels(encode(image))[:, :, 1], [[0, 255], [255, 0]])


def test_transparency_is_laid_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = 0, 128, 255
    np.testing.assert_array_equal(pixels(encode(Image.fromarray(rgba)))[0, :, 0], [255, 127, 0])
    np.testing.assert_array_equal(pixels(rgba)[0, :, 0], [255, 127, 0])


@pytest.mark.parametrize(
    ("image", "transparency"),
    [
        (Image.new("L", (2, 2), 7), 7),
        (Image.new("RGB", (2, 2), (1, 2, 3)), (1, 2, 3)),
        (Image.new("P", (2, 2), 0), 0),
        (Image.new("P", (2, 2), 0), b"\x00\xff"),
    ],
    ids=["grey", "rgb", "palette index", "palette alphas"],
)
def test_a_transparent_colour_is_laid_on_white(image, transparency):
    assert (pixels(encode(image, transparency=transparency)) == 255).all()


def test_grey_with_alpha():
    image = Image.merge("LA", [Image.new("L", (1, 1), 0), Image.new("L", (1, 1), 51)])
    assert pixels(encode(image))[0, 0].tolist() == [204, 204, 204]


def test_16_bit_grey_is_scaled_not_clipped():
    values = np.array([[0, 200, 257, 32896, 65535]], np.uint16)
    assert pixels(encode(Image.fromarray(values)))[0, :, 0].tolist() == [0, 1, 1, 128, 255]


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16-bit values H W C, which Pillow does not write."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    return PNG_START + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_12_bits_in_16_are_not_black_and_that_is_said():
    values = np.array([[0, 257, 2048, 4095]], np.uint16)
    expected = [0, 16, 128, 255]  # of 4095
    for source in (Image.fromarray(values), encode(Image.fromarray(values))):
        assert pixels(source)[0, :, 1].tolist() == expected
        assert open_image(source).info.keys() == {"dark_image"}
    assert open_image(Image.fromarray(0 * values)).info == {}  # black indeed
    colors = np.stack([values, values[:, ::-1], values // 2], -1)
    expected = [[0, 255, 0], [16, 128, 8], [128, 16, 64], [255, 0, 127]]
    assert pixels(deep_png(colors))[0].tolist() == expected
    assert open_image(deep_png(colors)).info.keys() == {"dark_image"}
    alpha = np.full((1, 4, 1), 65535)
    assert pixels(deep_png(np.concatenate([colors, alpha], -1)))[0].tolist() == expected
    assert pixels(deep_png(np.concatenate([colors, 0 * alpha], -1)))[0].tolist() == [[255] * 3] * 4
    light = open_image(deep_png(np.array([[[4096, 65535, 0]]])))
    assert (light.getpixel((0, 0)), light.info) == ((16, 255, 0), {})


def test_16_bit_grey_in_a_pil_image_of_the_other_byte_order():
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">HH", 65535, 32896))
    assert pixels(image)[0, :, 0].tolist() == [255, 128]


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_read(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
    with Image.open(io.BytesIO(data)) as animation:
        assert getattr(animation, "n_frames", 1) == 2
    np.testing.assert_allclose(pixels(data)[0, 0].astype(int), (255, 0, 0), atol=2)


@pytest.mark.parametrize(
    "array",
    [PICTURE / 255, (PICTURE / 255).astype(np.float16), PICTURE.astype(np.float32) / 255, np.asfortranarray(PICTURE)],
    ids=["float64", "float16", "float32", "strided"],
)
def test_arrays_of_colours(array):
    np.testing.assert_array_equal(pixels(array), PICTURE)


def test_float_values_are_rounded():
    assert pixels(np.array([[0.0, 0.1, 0.999, 1.0]]))[0, :, 0].tolist() == [0, 26, 255, 255]


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
def test_arrays_of_greys(shape):
    np.testing.assert_array_equal(pixels(PICTURE[:, :, 0].reshape(shape))[:, :, 2], PICTURE[:, :, 0])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 6), np.uint8), "move the channels to the end"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (np.zeros((4, 6, 2), np.uint8), r"shape \(4, 6, 2\)"),
        (np.zeros((0, 6, 3), np.uint8), "no pixels"),
        (np.full((2, 2), 2.0), "float images must lie within 0..1"),
        (np.full((2, 2), np.nan), "float images must lie within 0..1"),
        (np.zeros((2, 2), np.int64), "type int64"),
        (np.broadcast_to(np.uint8(0), (30_000, 20_000)), "600 megapixels"),
    ],
)
def test_arrays_that_are_no_images(array, message):
    with pytest.raises(InputError, match=message):
        open_image(array)


def test_rgb_images_are_copied():
    image = Image.fromarray(PICTURE)
    open_image(image).putpixel((0, 0), (9, 9, 9))
    np.testing.assert_array_equal(np.asarray(image), PICTURE)


def test_pil_images_are_left_as_they_were():
    image = Image.fromarray(PICTURE)
    image.getexif()[0x0112] = 6
    opened = open_image(image)
    assert opened.size == (4, 6)
    opened.putpixel((0, 0), (9, 9, 9))
    np.testing.assert_array_equal(np.asarray(image), PICTURE)


@pytest.mark.parametrize(("mode", "message"), [("F", "32-bit pixels"), ("I", "32-bit pixels"), ("La", "mode La")])
def test_pil_images_that_cannot_become_rgb_are_refused(mode, message):
    with pytest.raises(InputError, match=message):
        open_image(Image.new(mode, (2, 2)))


@pytest.mark.parametrize("mode", ["RGBX", "YCbCr", "HSV", "CMYK", "PA", "RGBa"])
def test_pil_images_of_any_other_mode_are_read(mode):
    rgba = Image.new("RGBA", (2, 2), (200, 200, 200, 255))
    if mode == "PA":
        rgba = rgba.convert("LA")
    image = rgba.convert(mode) if mode in ("RGBa", "PA") else rgba.convert("RGB").convert(mode)
    np.testing.assert_allclose(pixels(image).astype(int), 200, atol=1)


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("format", "part"), [*itertools.product(["PNG", "BMP", "WEBP"], [0.1, 0.5, 0.9]), ("JPEG", 0.01), ("JPEG", 0.1)]
)
def test_truncated_files(format, part):
    data = encode(NOISE, format)
    with pytest.raises(InputError, match=r"damaged or incomplete|is not a JPEG"):
        open_image(data[: int(len(data) * part)])


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_bytes_is_read_as_far_as_it_goes_and_that_is_said(progressive):
    data = encode(NOISE, "JPEG", progressive=progressive)
    whole = open_image(data)
    assert whole.info == {}
    for missing in (1, 2, 200, len(data) // 2):
        cut = open_image(data[:-missing])
        assert cut.info.keys() == {"cut_image"}
        assert cut.size == whole.size
    half = pixels(data[: len(data) // 2])
    if not progressive:
        np.testing.assert_array_equal(half[:15], np.asarray(whole)[:15])  # the 16th is blended with what is missing
        assert (half[-8:] == 128).all()


def test_a_jpeg_that_ends_before_its_first_pixel_is_refused():
    data = encode(NOISE.resize((64, 640)), "JPEG")
    with pytest.raises(InputError, match="damaged or incomplete"):
        open_image(data[: data.index(b"\xff\xda") + 14])  # the pixels come after these 14 bytes
    assert open_image(data[: len(data) // 10]).info


def test_damaged_pixels():
    data = bytearray(encode(NOISE))
    data[2000:2100] = bytes(100)
    with pytest.raises(InputError, match="damaged or incomplete"):
        open_image(data)


@pytest.mark.parametrize("position", [11, 36], ids=["length of the header", "length of the pixel data"])
def test_damage_that_pillow_reports_as_neither_oserror_nor_unidentified(position):
    data = bytearray(encode(Image.fromarray(PICTURE)))
    data[position] = 1
    with pytest.raises(InputError, match="damaged or incomplete"):
        open_image(data)


@pytest.mark.parametrize("data", [b"not an image", b"\x89PNG\r\n\x1a\n", b"BM", b"<svg></svg>", b"\xff\xd8\xff"])
def test_not_an_image(data):
    with pytest.raises(InputError, match=r"is not a JPEG|damaged or incomplete"):
        open_image(data)


def test_a_file_that_is_too_big_is_not_read_further():
    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.given = 0

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            assert size >= 0
            self.given += size
            return bytes(size)

    file = Endless()
    with pytest.raises(InputError, match="more than 10 MB"):
        open_image(file)  # pyright: ignore[reportArgumentType]
    assert file.given == UPLOAD.num_bytes + 1


def test_the_limits_of_uploads_do_not_hold_for_own_files(tmp_path, monkeypatch):
    data = encode(Image.fromarray(PICTURE))
    padded = data + bytes(UPLOAD.num_bytes - len(data))
    assert open_image(padded).size == (6, 4)
    with pytest.raises(InputError, match=r"more than 10 MB"):
        open_image(padded + b"\0")
    path = tmp_path / "padded.png"
    path.write_bytes(padded + b"\0")
    assert open_image(path).size == (6, 4)

    large = encode(Image.new("1", (8000, 5001)))
    with pytest.raises(InputError, match=r"40 megapixels .* make it smaller than 40"):
        open_image(large)
    path.write_bytes(large)
    assert open_image(path).size == picture_size(path) == (8000, 5001)
    assert open_image(Image.new("1", (8000, 5001))).size == (8000, 5001)
    monkeypatch.setattr("rtdetr_explained.data.images.OWN", OWN._replace(num_bytes=len(large) - 1))
    with pytest.raises(InputError, match=r"padded.png has more than"):
        open_image(path)


@pytest.mark.parametrize("size", [(8000, 5001), (40_000_001, 1), (10_000, 10_000), (65_000, 65_000)])
def test_too_many_pixels_are_refused_before_decoding(size):
    with pytest.raises(InputError, match=rf"has {size[0] * size[1] / 1e6:.0f} megapixels .* smaller than 40"):
        open_image(png_of_size(*size))


def test_40_megapixels_pass_the_size_check():
    # The little data inside is found out only when the pixels are decoded.
    with pytest.raises(InputError, match="damaged or incomplete"):
        open_image(png_of_size(8000, 5000))


def test_own_pictures_that_would_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_size(65_000, 65_000))
    for read in (open_image, picture_size):
        with pytest.raises(InputError, match=r"bomb.png has 4225 megapixels .* smaller than 500"):
            read(path)
    monkeypatch.setattr("rtdetr_explained.data.images.OWN", OWN._replace(pixels=23))
    with pytest.raises(InputError, match=r"\(6×4\)"):
        open_image(Image.fromarray(PICTURE))


def test_paths_that_cannot_be_read(tmp_path):
    empty = tmp_path / "empty.png"
    empty.touch()
    for source, message in [
        (tmp_path / "missing.png", "missing.png does not exist"),
        (tmp_path, "is a directory"),
        (empty, "empty.png is empty"),
        ("nul\0byte.png", "cannot be read"),
        ("x" * 5000, "cannot be read"),
    ]:
        with pytest.raises(InputError, match=message):
            open_image(source)
    with pytest.raises(InputError, match="The image is empty"):
        open_image(b"")


def test_messages_are_one_sentence(tmp_path):
    for source in [tmp_path, tmp_path / "no.png", b"", b"text", png_of_size(8000, 8000), np.zeros(5), PICTURE * 2.0]:
        with pytest.raises(InputError) as caught:
            open_image(source)
        message = str(caught.value)
        assert message.endswith(".")
        assert ". " not in message
        assert "\n" not in message


def test_a_file_object_is_called_by_its_name():
    file = io.BytesIO(b"text")
    file.name = "holiday.jpg"
    with pytest.raises(InputError, match=r"^holiday\.jpg is not a JPEG"):
        open_image(file)


def test_no_global_setting_is_changed_and_threads_do_not_disturb_each_other():
    limit = Image.MAX_IMAGE_PIXELS
    pictures = [np.full((20, 20, 3), value, np.uint8) for value in range(32)]
    files = [encode(Image.fromarray(picture)) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        for picture, read in zip(pictures, pool.map(pixels, files), strict=True):
            np.testing.assert_array_equal(read, picture)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_sha256_tells_pictures_apart_and_not_files():
    image = Image.fromarray(PICTURE)
    as_bmp, as_png = open_image(encode(image, "BMP")), open_image(encode(image, "PNG"))
    assert image_sha256(as_bmp) == image_sha256(as_png)
    assert len(image_sha256(as_bmp)) == 64
    changed = image.copy()
    changed.putpixel((5, 3), (200, 100, 51))
    assert image_sha256(changed) != image_sha256(image)
    # The same bytes in another shape are another picture.
    assert image_sha256(Image.new("RGB", (6, 4))) != image_sha256(Image.new("RGB", (4, 6)))


def test_model_input_is_antialiased_and_of_the_size_asked_for():
    resized = to_model_input(Image.fromarray(np.repeat(np.repeat(PICTURE, 8, 0), 8, 1)), (64, 96))
    assert (resized.shape, resized.dtype) == ((64, 96, 3), np.uint8)
    assert resized[4, 4].tolist() == [255, 0, 0]
    assert resized[60, 92].tolist() == [200, 100, 50]
    # Bilinear: each new pixel lies a quarter of a pixel from an old one.
    ramp = to_model_input(Image.fromarray(np.array([[[0] * 3, [200] * 3]], np.uint8)), (1, 4))
    assert ramp[0, :, 0].tolist() == [0, 50, 150, 200]
    # Every second column is white: a filter that widens with the reduction gives grey, any other black or white.
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = to_model_input(Image.fromarray(stripes), (8, 8))
    assert np.abs(shrunk.astype(int) - 127).max() <= 6
    shrunk[:] = 0  # writable, for torch.from_numpy

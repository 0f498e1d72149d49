"""Reading COCO JSON files and Pascal VOC folders: what is right, and what is wrong with them."""

import json

import numpy as np
import pytest
from PIL import Image

from rtdetr_explained.data.annotations import load_photo
from rtdetr_explained.data.class_matching import match_classes, with_classes
from rtdetr_explained.data.coco_json import read_coco
from rtdetr_explained.data.reading import read_annotations
from rtdetr_explained.data.report import PROBLEMS, Report
from rtdetr_explained.data.voc_xml import read_voc
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.class_names import COCO_CLASSES

# Ids of the 80 COCO categories: 1..90 without these ten.
COCO_IDS = [i for i in range(1, 91) if i not in {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}]


def coco(folder, **changes):
    """A COCO file of two images, 200 × 100 px and 50 × 50 px, changed as asked; pictures lie in `images` beside it."""
    content = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 200, "height": 100},
            {"id": 9, "file_name": "b.png", "width": 50, "height": 50},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 30, "bbox": [20, 10, 40, 60], "area": 1200.0, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 4, "bbox": [0, 0, 200, 100]},
            {"id": 3, "image_id": 7, "category_id": 4, "bbox": [100, 0, 50, 50], "iscrowd": 1},
        ],
        "categories": [{"id": 30, "name": "kite"}, {"id": 4, "name": "owl"}],
    }
    for key, extra in changes.items():
        content[key] = content[key] + extra
    (folder / "images").mkdir(exist_ok=True)
    for name, size in (("a.png", (200, 100)), ("b.png", (50, 50))):
        Image.new("RGB", size).save(folder / "images" / name)
    path = folder / "data.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def voc(folder, name="a", objects=(("owl", 21, 11, 60, 70, 0),), size=(200, 100), filename=None):
    """One XML file and its picture, in the two folders usual for VOC."""
    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "JPEGImages").mkdir(exist_ok=True)
    Image.new("RGB", (200, 100)).save(folder / "JPEGImages" / f"{name}.png")
    body = "".join(
        f"<object><name>{label}</name><difficult>{difficult}</difficult><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for label, x0, y0, x1, y1, difficult in objects
    )
    told = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    text = f"<annotation><filename>{filename or name + '.png'}</filename>{told}{body}</annotation>"
    (folder / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")


def test_coco_boxes_labels_and_ids(tmp_path):
    report = Report()
    data = read_annotations(coco(tmp_path), None, report)
    assert data.class_names == ("owl", "kite")
    assert data.category_ids == (4, 30)
    first, second = data.images
    assert (first.image_id, first.width, first.height, first.path.name) == (7, 200, 100, "a.png")
    np.testing.assert_allclose(first.boxes, [[0.2, 0.4, 0.2, 0.6], [0.5, 0.5, 1, 1]])
    assert first.boxes.dtype == np.float32
    assert first.labels.tolist() == [1, 0]
    assert first.areas.tolist() == [1200, 20000]
    np.testing.assert_allclose(first.ignored_boxes, [[0.625, 0.25, 0.25, 0.5]])
    assert first.ignored_labels.tolist() == [0]
    assert second.boxes.shape == (0, 4)  # an image without objects is legal
    assert data.num_objects == 2
    assert report.lines() == []


def test_the_80_coco_categories_become_the_order_of_the_published_models(tmp_path):
    path = coco(tmp_path)
    content = json.loads(path.read_text())
    content["categories"] = [{"id": i, "name": n} for i, n in zip(COCO_IDS, COCO_CLASSES, strict=True)][::-1]
    content["annotations"][0]["category_id"] = 90
    path.write_text(json.dumps(content))
    data = read_coco(path, tmp_path / "images", Report())
    assert data.class_names == COCO_CLASSES
    assert data.images[0].labels.tolist() == [79, 3]
    assert [data.category_ids[i] for i in (0, 11, 60, 61, 62, 79)] == [1, 13, 67, 70, 72, 90]


WRONG = {
    "missing_image": {"images": [{"id": 11, "file_name": "c.png", "width": 9, "height": 9}]},
    "bad_image": {"images": [{"id": 11, "file_name": "../data.json"}]},
    "duplicate_image": {"images": [{"id": 7, "file_name": "b.png", "width": 50, "height": 50}]},
    "unknown_image": {"annotations": [{"id": 4, "image_id": 8, "category_id": 4, "bbox": [0, 0, 9, 9]}]},
    "unknown_category": {"annotations": [{"id": 4, "image_id": 9, "category_id": 5, "bbox": [0, 0, 9, 9]}]},
    "box_outside": {"annotations": [{"id": 4, "image_id": 9, "category_id": 4, "bbox": [40, 0, 30, 9]}]},
    "empty_box": {"annotations": [{"id": 4, "image_id": 9, "category_id": 4, "bbox": [5, 5, 0, 9]}]},
    "tiny_box": {"annotations": [{"id": 4, "image_id": 9, "category_id": 4, "bbox": [5, 5, 0.4, 9]}]},
    "swapped_box": {"annotations": [{"id": 4, "image_id": 9, "category_id": 4, "bbox": [9, 5, -4, 9]}]},
    "malformed": {"annotations": [{"id": 4, "image_id": 9, "category_id": 4, "bbox": [5, 5, 9]}]},
    "duplicate_category": {"categories": [{"id": 77, "name": "owl"}]},
}
KEPT = ("box_outside", "tiny_box", "swapped_box")


def test_every_kind_of_problem_is_tried():
    # Those left out are of pictures, of lists in VOC folders, and of files as a whole, each with a test of its own.
    assert {*WRONG, "missing_annotation", "cut_image", "relative_boxes"} == set(PROBLEMS)


@pytest.mark.parametrize("problem", WRONG)
def test_a_wrong_entry_is_counted_or_stops(problem, tmp_path):
    path = coco(tmp_path, **WRONG[problem])
    report = Report()
    data = read_coco(path, tmp_path / "images", report)
    assert report.counts == {problem: 1}
    assert data.num_objects == (3 if problem in KEPT else 2)
    assert len(data.images) == 2
    heading, line = report.lines()
    assert heading == f"{PROBLEMS[problem]}: 1"
    with pytest.raises(InputError) as stop:
        read_coco(path, tmp_path / "images", Report(strict=True))
    assert f"  {stop.value}" == line
    assert str(stop.value).endswith(".")
    json.dumps(report.as_dict())


@pytest.mark.parametrize(
    "entry",
    [
        {"id": 4, "image_id": 9, "category_id": 4, "bbox": [5, 5, float("nan"), 9]},
        {"id": 4, "image_id": 9, "category_id": 4, "bbox": [5, 5, 9, 10**400]},
        {"id": 4, "image_id": 9, "category_id": 4, "bbox": ["5", "5", "9", "nine"]},
        {"id": 4, "image_id": [9], "category_id": 4, "bbox": [5, 5, 9, 9]},
        {"id": 4, "bbox": [5, 5, 9, 9]},
        "a box",
        None,
    ],
)
def test_entries_of_any_kind_are_counted_as_malformed(entry, tmp_path):
    report = Report()
    read_coco(coco(tmp_path, annotations=[entry]), tmp_path / "images", report)
    assert report.counts == {"malformed": 1}


def test_boxes_are_cut_at_the_border_and_a_pixel_of_rounding_is_no_mistake(tmp_path):
    boxes = [{"id": 4, "image_id": 9, "category_id": 4, "bbox": [-0.9, 40, 20, 10.9]}]
    boxes += [{"id": 5, "image_id": 9, "category_id": 4, "bbox": [40, 40, 100, 100]}]
    report = Report()
    image = read_coco(coco(tmp_path, annotations=boxes), tmp_path / "images", report).images[1]
    np.testing.assert_allclose(image.boxes, [[0.191, 0.9, 0.382, 0.2], [0.9, 0.9, 0.2, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(image.areas, [191, 100])
    assert report.counts == {"box_outside": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON in line 1"),
        ("[]", "no list 'images'"),
        ('{"images": [], "annotations": []}', "no list 'categories'"),
        ('{"images": [], "annotations": [], "categories": []}', "no categories"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "owl"}]}', "lists no images"),
        (
            '{"images": [{"id": 1, "file_name": "x.png"}], "annotations": [], "categories": [{"id": 1, "name": "o"}]}',
            "None of the 1 images",
        ),
    ],
)
def test_a_file_of_which_nothing_can_be_used(text, words, tmp_path):
    path = tmp_path / "data.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_annotations(path, tmp_path, Report())


def test_data_without_a_single_object(tmp_path):
    path = coco(tmp_path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": []}))
    with pytest.raises(InputError, match="no object"):
        read_annotations(path, None, Report())
    voc(tmp_path, objects=())
    with pytest.raises(InputError, match="no object"):
        read_annotations(tmp_path, None, Report())


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_annotations(tmp_path / "no.json", None, Report())
    with pytest.raises(InputError, match="folder of the images"):
        read_annotations(coco(tmp_path), tmp_path / "no", Report())
    with pytest.raises(InputError, match="no XML files"):
        read_annotations(tmp_path / "images", None, Report())


def test_voc_folder(tmp_path):
    voc(tmp_path, "a", [("owl", 21, 11, 60, 70, 0), ("kite", 1, 1, 200, 100, 0), ("owl", 101, 1, 150, 50, 1)])
    voc(tmp_path, "b", [], size=None, filename="renamed.png")
    report = Report()
    data = read_annotations(tmp_path, None, report)
    assert data.class_names == data.category_ids == ("kite", "owl")
    first, second = data.images
    np.testing.assert_allclose(first.boxes, [[0.2, 0.4, 0.2, 0.6], [0.5, 0.5, 1, 1]])
    assert first.labels.tolist() == [1, 0]
    assert first.areas.tolist() == [2400, 20000]
    np.testing.assert_allclose(first.ignored_boxes, [[0.625, 0.25, 0.25, 0.5]])
    assert (second.image_id, second.path.name, second.width, second.height) == ("b", "b.png", 200, 100)
    assert report.counts == {}


@pytest.mark.parametrize("text", ["c\na\n", "c  1\n\na -1\nc  1\n"], ids=["names", "names and flags"])
def test_a_list_of_a_voc_folder_stands_for_its_images(tmp_path, text):
    for stem in "abc":
        voc(tmp_path, stem, [(f"kind {stem}", 1, 1, 9, 9, 0)])
    path = tmp_path / "ImageSets" / "Main" / "train.txt"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    report = Report()
    data = read_annotations(path, None, report)
    assert [image.image_id for image in data.images] == ["c", "a"]
    assert data.class_names == ("kind a", "kind c")
    assert report.counts == {}


def test_a_list_of_a_voc_folder_that_does_not_fit_it(tmp_path):
    voc(tmp_path, "a")
    path = tmp_path / "train.txt"
    path.write_text("a\nb\n")
    report = Report()
    assert len(read_annotations(path, None, report).images) == 1
    assert report.counts == {"missing_annotation": 1}
    with pytest.raises(InputError, match=f"^train.txt: b.xml is not in {tmp_path / 'Annotations'}; add it.$"):
        read_annotations(path, None, Report(strict=True))
    path.write_text("b\n")
    with pytest.raises(InputError, match=r"None of the 1 images that .* names"):
        read_annotations(path, None, Report())
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="cannot be read"):
        read_annotations(path, None, Report())
    (tmp_path / "Annotations").rename(tmp_path / "XML")
    with pytest.raises(InputError, match="No folder above"):
        read_annotations(path, None, Report())


def test_wrong_voc_files_are_counted(tmp_path):
    voc(tmp_path, "a")
    voc(
        tmp_path,
        "b",
        [("", 1, 1, 9, 9, 0), ("owl", "x", 1, 9, 9, 0), ("owl", 150, 1, 300, 9, 0), ("owl", 9, 9, 2, 2, 0)],
    )
    voc(tmp_path, "c", filename="a.png")
    (tmp_path / "JPEGImages" / "c.png").unlink()
    voc(tmp_path, "d")
    (tmp_path / "JPEGImages" / "d.png").unlink()
    (tmp_path / "Annotations" / "e.xml").write_text("<annotation><object>")
    voc(tmp_path, "f", size=None)
    (tmp_path / "JPEGImages" / "f.png").write_text("no picture")
    report = Report()
    data = read_voc(tmp_path, None, report)
    assert [image.path.stem for image in data.images] == ["a", "b"]
    assert report.counts == {
        "unknown_category": 1,
        "malformed": 2,
        "box_outside": 1,
        "swapped_box": 1,
        "duplicate_image": 1,
        "missing_image": 1,
        "bad_image": 1,
    }


def test_labels_in_the_terms_of_other_classes(tmp_path):
    data = read_annotations(coco(tmp_path), None, Report())
    report = Report()
    moved = with_classes(data, ("cat", "Kite"), report)
    assert moved.class_names == ("cat", "Kite")
    assert moved.category_ids == ("cat", 30)
    assert moved.images[0].labels.tolist() == [1]
    np.testing.assert_allclose(moved.images[0].boxes, [[0.2, 0.4, 0.2, 0.6]])
    assert len(moved.images[0].ignored_labels) == 0
    assert report.counts == {"unknown_category": 1, "loose_class": 1}
    assert "'kite' of the data was taken for 'Kite'" in report.lines()[1]
    with pytest.raises(InputError, match="'owl' is not a class of the model"):
        with_classes(data, ("cat", "Kite"), Report(strict=True))
    with pytest.raises(InputError, match="no name in common"):
        with_classes(data, COCO_CLASSES[:3], Report())


def test_class_names_match_across_spellings():
    table = match_classes(["diningtable", "TV_monitor", "Sofa", "zorilla"], COCO_CLASSES)
    assert [COCO_CLASSES[i] for i in table[:3]] == ["dining table", "tv", "couch"]
    assert table[3] == -1
    assert match_classes(["owl", "kite"], ["class 0", "class 1"]).tolist() == [0, 1]


def test_photo_is_turned_as_the_annotation_says(tmp_path):
    path = coco(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright, the picture is 100 × 200
    stored = Image.new("RGB", (200, 100))
    stored.paste((255, 0, 0), (0, 0, 100, 100))
    stored.save(tmp_path / "images" / "a.png", exif=exif)
    image = read_annotations(path, None, Report()).images[0]
    photo = load_photo(image)
    assert (photo.size, photo.getpixel((50, 90)), photo.getpixel((150, 90))) == ((200, 100), (255, 0, 0), (0, 0, 0))


def test_photo_of_other_proportions_is_refused(tmp_path):
    image = read_annotations(coco(tmp_path), None, Report()).images[0]
    Image.new("RGB", (67, 33)).save(image.path)  # scaled down to a third
    assert load_photo(image).size == (67, 33)
    Image.new("RGB", (67, 40)).save(image.path)
    with pytest.raises(InputError, match="67 × 40 pixels but annotated as 200 × 100"):
        load_photo(image)


def test_reports_add_up():
    one, two = Report(), Report()
    for i in range(2):
        one.add("malformed", f"one {i}")
        two.add("malformed", f"two {i}")
    two.add("bad_image", "three")
    one.merge(two)
    assert one.counts == {"malformed": 4, "bad_image": 1}
    assert one.examples == {"malformed": ["one 0", "one 1", "two 0"], "bad_image": ["three"]}

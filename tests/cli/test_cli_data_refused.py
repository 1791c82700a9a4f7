"""Data that cannot be used: one line that says what, where and how to mend it; not a file is written."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.cli_data import QUICK, arrays, encoded, image_folder, pictures, table


def bomb():
    """A PNG whose header promises 60,000 × 60,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def here(*more):
    return ["adapt", "here", "there", *QUICK, "--net", "lenet5", *more]


@pytest.fixture
def folders():
    """Two folders of images that fit together."""
    image_folder("here")
    image_folder("there", seed=1)


DAMAGE = {
    "corrupt": lambda good: b"no image at all",
    "truncated": lambda good: good[: len(good) // 2],
    "empty": lambda good: b"",
    "bomb": lambda good: bomb(),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("folder", ["here", "there"])
def test_damaged_images_are_named_and_counted(folders, refused, kind, folder):
    path = Path(folder, "cat", "3.png")
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    refused(here(), f"{folder}: 1 of 24 images cannot be read", "the first is cat/3.png", "--skip-bad")


def test_damaged_images_are_left_out_and_said_with_skip_bad(folders, juyi):
    for number, damage in enumerate(DAMAGE.values()):
        path = Path("there", "dog", f"{number}.png")
        path.write_bytes(damage(path.read_bytes()))
    said = juyi(*here("--skip-bad", "--out", "run"))
    assert said.code == 0, said.err
    assert "note: there: 4 of 24 images skipped, since they cannot be read; the first is dog/0.png" in said.err
    assert "target there: 20 images" in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["adapt", "nowhere/", "there"], ["nowhere/: there is no such file or folder"]),
        (["adapt", "here", "theer"], ["theer: is neither a path", "nor a known name"]),
        (["adapt", "here", "digit@train"], ["digit@train", "did you mean digits?"]),
        (["adapt", "here", "digits@trian"], ["digits has no split trian", "did you mean train?"]),
        (["adapt", "here", "digits"], ["say which split", "digits@train"]),
        (["adapt", "here", "digits@train[:0]"], ["[:N] with N at least 1"]),
        (["adapt", "here", "there", "--test", "tset.npz"], ["tset.npz: there is no such file or folder"]),
        (["adapt", "here", "empty"], ["empty: holds no image", "name a folder of images"]),
        (["adapt", "empty", "there"], ["empty: holds no image"]),
        (["adapt", "one", "there"], ["there: its classes differ from those of one", "it has dog besides"]),
        (["train", "one"], ["one: all labelled rows are of one class, cat", "add examples of another class"]),
        (["adapt", "flat", "there"], ["flat: has no labels", "put images into class folders", "--label"]),
        (["adapt", "few", "there"], ["few: has 10 rows, fewer than a batch of 16", "--batch"]),
        (["adapt", "here", "few"], ["few: has 10 rows, fewer than a batch of 16", "--batch"]),
        (["adapt", "here", "birds"], ["birds: its classes differ from those of here", "has owl, tit besides"]),
        (["adapt", "here", "case"], ["'cat' and 'Cat ' differ only in case or spaces", "name the classes alike"]),
        (["adapt", "clash", "there"], ["clash: the class folders 'Cat' and 'cat' differ only in case", "rename one"]),
        (["adapt", "here", "features.npz"], ["here holds images and features.npz features", "give two of one kind"]),
        (["adapt", "here", "dim.npz"], ["dim.npz: its pixels reach only 1", "multiply the pixels of dim.npz by 255"]),
        (["adapt", "here", "here.txt"], ["here.txt: is nothing that can be read", ".csv"]),
        (["adapt", "here", "there", "--test", "flat"], ["flat: has no labels, so nothing can be scored"]),
        (["adapt", "here", "there", "--test", "birds"], ["birds: its classes differ from those of here", "owl"]),
        (["adapt", "here", "there", "--size", "0"], ["size is 0", "at least 1"]),
        (["train", "here", "--test", "flat"], ["flat: has no labels, so nothing can be scored on it"]),
        (["data", "check", "here", "--beside", "birds"], ["birds: its classes differ from those of here"]),
        (["data", "check", "features.npz", "--sheet", "a.png"], ["features.npz: holds features and no images"]),
    ],
)  # fmt: skip
def test_folders_that_cannot_be_used(folders, refused, arguments, words):
    Path("empty").mkdir()
    Path("here.txt").write_text("no images")
    image_folder("one", ("cat",), n=24)
    image_folder("flat", (), n=24)
    image_folder("few", n=5)
    image_folder("birds", ("owl", "tit"))
    image_folder("case", ("Cat ", "dog"))
    image_folder("clash", ("cat", "Cat", "dog"))
    arrays("features.npz")
    np.savez("dim.npz", x=np.ones((24, 28, 28), np.uint8), y=np.arange(24) % 2, classes=np.array(["cat", "dog"]))
    quick = () if arguments[0] == "data" else QUICK
    refused([*arguments, *quick], *words)


@pytest.mark.parametrize(
    ("source", "target", "more", "words"),
    [
        ("a.csv", "nan.csv", [], ["nan.csv, line 5: column length holds nan", "finite numbers", "remove the row"]),
        ("nan.csv", "a.csv", [], ["nan.csv, line 5"]),
        ("gap.csv", "a.csv", [], ["gap.csv, line 5: column length holds nothing", "features are numbers"]),
        ("a.csv", "wide.csv", [], ["a.csv has 2 features and wide.csv 3", "the same columns, in the same order"]),
        ("a.csv", "swapped.csv", [], ["swapped.csv", "width", "length", "the same columns"]),
        ("rated.csv", "a.csv", [], ["rated.csv", "labels are continuous numbers", "bin them first"]),
        ("mixed.csv", "a.csv", [], ["mixed.csv, line 6: column kind holds '7', a number", "words for all rows"]),
        ("a.csv", "a.csv", ["--label", "knid"], ["a.csv: there is no column knid for the labels", "mean kind?"]),
        ("a.csv", "plain.csv", ["--test", "plain.csv"], ["plain.csv", "there is no column kind"]),
        ("none.csv", "a.csv", [], ["none.csv", "not a single row"]),
        ("a.csv", "rated.csv", ["--test", "rated.csv"], ["rated.csv has numbers as labels and a.csv has classes"]),
        ("a.csv", "a.csv", ["--target-labels", "-1"], ["--target-labels: -1", "0 or more, all, or a file"]),
        ("a.csv", "a.csv", ["--target-labels", "five"], ["--target-labels: five", "there is no such file"]),
        ("a.csv", "a.csv", ["--target-labels", "²"], ["--target-labels: ²", "there is no such file"]),
        ("a.csv", "a.csv", ["--target-labels", "1.5"], ["--target-labels: 1.5"]),
        ("a.csv", "a.csv", ["--target-labels", "9" * 5000], ["--target-labels"]),
        ("a.csv", "a.csv", ["--target-labels", "gone.csv"], ["--target-labels: gone.csv", "there is no such file"]),
        ("a.csv", "a.csv", ["--target-labels", "a.csv"], ["a.csv, line 1: the header is", "it must be name,label"]),
        ("a.csv", "a.csv", ["--target-labels", "row.csv"], ["row.csv, line 2: a.csv has no row named 99"]),
        ("a.csv", "a.csv", ["--target-labels", "twice.csv"], ["twice.csv, line 3: 1 is given a second label"]),
        ("a.csv", "a.csv", ["--target-labels", "word.csv"], ["word.csv, line 2", "no class dgo", "did you mean dog?"]),
        ("a.csv", "plain.csv", ["--target-labels", "word.csv"], ["word.csv, line 2", "no class dgo", "dog?"]),
        ("a.csv", "plain.csv", ["--target-labels", "3"], ["plain.csv holds no label", "drop the option"]),
        ("a.csv", "plain.csv", ["--target-labels", "all"], ["--target-labels all: plain.csv holds no label"]),
        ("a.csv", "plain.csv", ["--size", "8"], ["a.csv", "no images", "size", "drop it"]),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_used(refused, source, target, more, words):
    table("a.csv")
    table("plain.csv", label=None)
    table("nan.csv", cells={(3, 0): "nan"})
    table("gap.csv", cells={(3, 0): ""})
    table("wide.csv", columns=("length", "width", "height"))
    table("swapped.csv", columns=("width", "length"))
    table("rated.csv", classes=("0.5", "1.5"))
    table("mixed.csv", cells={(4, 2): "7"})
    table("none.csv", n=0)
    Path("row.csv").write_text("name,label\n99,dog\n")
    Path("twice.csv").write_text("name,label\n1,dog\n1,cat\n")
    Path("word.csv").write_text("name,label\n1,dgo\n")
    label = [] if "--label" in more else ["--label", "kind"]
    refused(["adapt", source, target, *label, *more, *QUICK], *words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("pickle.npz", {"x": np.array([[{}]], dtype=object)}, ["pickle.npz", "objects", "may run code"]),
        ("nan.npz", {"x": np.full((20, 2), np.nan)}, ["nan.npz: row 0, column 0 is nan", "fill or drop"]),
        ("short.npz", {"x": np.zeros((20, 2)), "y": np.zeros(19, int)}, ["short.npz: y has shape (19,)", "20 rows"]),
        ("no_x.npz", {"y": np.zeros(20)}, ["no_x.npz: has no array x"]),
        ("range.npz", {"x": np.full((20, 8, 8), -1.0)}, ["range.npz: X has pixels from -1", "undo the normalisation"]),
    ],
)
def test_archives_that_cannot_be_used(refused, name, content, words):
    np.savez(name, **content)
    refused(["train", name, *QUICK], *words)


def test_an_archive_that_is_none(refused):
    Path("text.npz").write_text("no archive")
    refused(["train", "text.npz", *QUICK], "text.npz: cannot be read as .npz", "np.savez")


def test_a_data_folder_that_is_none(refused, monkeypatch):
    monkeypatch.setenv("JUYI_DATA", "nowhere")
    refused(["adapt", "mnist@train", "usps@train", *QUICK], "JUYI_DATA is set to nowhere, which is no folder")
    refused(["data", "list"], "JUYI_DATA is set to nowhere")


def test_images_of_every_kind_are_converted_and_it_is_said(juyi):
    image_folder("here")
    image_folder("there", seed=1)
    grey = pictures(4)[0]
    odd = {
        "palette.png": encoded(Image.fromarray(np.stack([grey] * 3, 2)).convert("P")),
        "alpha.png": encoded(Image.fromarray(np.stack([grey] * 4, 2), "RGBA")),
        "cmyk.jpg": encoded(Image.fromarray(np.stack([grey] * 3, 2)).convert("CMYK"), "JPEG"),
        "deep.png": encoded(Image.fromarray(grey.astype(np.uint16) * 257)),
        "large.png": encoded(np.kron(grey, np.ones((2, 2), np.uint8))),
    }
    for name, data in odd.items():
        Path("there", "cat", name).write_bytes(data)
    said = juyi(*here("--out", "run", "--json"))
    assert said.code == 0, said.err
    notes = json.loads(said.out)["notes"]
    for word in ("palette", "transparency", "CMYK", "16 to 8 bits", "from grey to RGB", "resized to 28×28"):
        assert any(word in note and note.startswith("there: ") for note in notes), (word, notes)
        assert word in said.err
    assert any(note.startswith("here: all images repeated from grey to RGB") for note in notes)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: image_folder("there", seed=1, size=20), "there: all images resized from 20×20 to 28×28"),
        (lambda: _bright("there"), "differ in brightness"),
    ],
)
def test_sizes_and_brightness_that_differ_are_said(juyi, make, words):
    dark = np.zeros((24, 28, 28), np.uint8)
    dark[::2, :, :9] = 250
    np.savez("dark.npz", x=dark, y=np.arange(24) % 2, classes=np.array(["cat", "dog"]))
    make()
    said = juyi("adapt", "dark.npz", "there", *QUICK, "--net", "lenet5", "--out", "run")
    assert said.code == 0, said.err
    assert words in said.err


def _bright(path):
    image_folder(path)
    for file in Path(path).rglob("*.png"):
        file.write_bytes(encoded(np.full((28, 28), 240, np.uint8)))


def test_units_that_differ_are_said(juyi):
    arrays("a.npz")
    with np.load("a.npz") as old:
        np.savez("b.npz", x=old["x"] * 1000)
    said = juyi("adapt", "a.npz", "b.npz", *QUICK, "--out", "run")
    assert said.code == 0
    assert "check that both are in the same units" in said.err


def test_classes_that_not_both_have_are_left_out_only_when_asked(juyi, refused):
    image_folder("here", ("cat", "dog", "owl"))
    image_folder("there", ("cat", "dog", "tit"), seed=1)
    refused(here(), "lacks owl", "has tit besides", "--intersect-classes")
    said = juyi(*here("--intersect-classes", "--out", "run", "--json"))
    assert said.code == 0, said.err
    assert '"classes": ["cat", "dog"]' in said.out
    assert "left out, of classes that not all have: owl" in said.err

import json

import numpy as np
import pytest
from PIL import Image

from juyi.data import cache, load
from juyi.errors import DataError, WriteError


def test_grey_stays_grey_and_memory_runs_channels_last(tmp_path, write_image, grey):
    images = grey(3)
    for i, image in enumerate(images):
        write_image(tmp_path / f"{i}.png", image)
    domain = load(tmp_path)
    np.testing.assert_array_equal(domain.x[:, 0], images)
    assert domain.x.transpose(0, 2, 3, 1).flags.c_contiguous
    assert domain.notes == ()


def test_one_colour_image_makes_all_rgb_and_says_so(tmp_path, write_image, grey):
    write_image(tmp_path / "a.png", grey(1)[0])
    colour = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    write_image(tmp_path / "b.png", colour)
    domain = load(tmp_path)
    np.testing.assert_array_equal(domain.x[0], np.repeat(grey(1), 3, axis=0))
    np.testing.assert_array_equal(domain.x[1].transpose(1, 2, 0), colour)
    assert domain.notes == ("1 of 2 images repeated from grey to RGB, since others have colour",)


@pytest.mark.parametrize(
    ("name", "image", "options", "pixel", "note"),
    [
        ("p.png", Image.new("P", (2, 2), 0), {}, [0, 0, 0], "converted from palette"),
        ("a.png", Image.new("RGBA", (2, 2), (255, 0, 0, 0)), {}, [255, 255, 255], "transparency laid on white"),
        ("h.png", Image.new("RGBA", (2, 2), (0, 0, 0, 51)), {}, [204, 204, 204], "transparency laid on white"),
        ("l.png", Image.new("LA", (2, 2), (9, 0)), {}, [255], "transparency laid on white"),
        ("c.jpg", Image.new("CMYK", (2, 2), (0, 0, 0, 0)), {}, [255, 255, 255], "converted from CMYK"),
        ("i.png", np.full((2, 2), 65535, np.uint16), {}, [255], "scaled from 16 to 8 bits"),
        ("j.png", np.full((2, 2), 257 * 100, np.uint16), {}, [100], "scaled from 16 to 8 bits"),
        ("t.png", Image.new("L", (2, 2), 7), {"transparency": 7}, [255], "transparency laid on white"),
    ],
)
def test_each_kind_of_image_is_converted_and_said(tmp_path, write_image, name, image, options, pixel, note):
    write_image(tmp_path / name, image, **options)
    domain = load(tmp_path)
    assert domain.x[0, :, 0, 0].tolist() == pixel
    assert note in domain.notes[0] and domain.notes[0].startswith("all 1 images")


def test_exif_orientation_turns_the_image_upright(tmp_path, write_image):
    exif = Image.Exif()
    exif[0x0112] = 6
    write_image(tmp_path / "a.jpg", np.repeat(np.uint8([[0] * 16, [255] * 16]), 16, axis=0), exif=exif, quality=100)
    domain = load(tmp_path)
    assert domain.x.shape == (1, 1, 16, 32)
    assert domain.x[0, 0, 8, 2] > 250 and domain.x[0, 0, 8, 29] < 5  # what was on top is on the right
    assert "turned upright" in domain.notes[0]


def test_mixed_sizes_become_the_commonest_or_the_size_asked_for(tmp_path, write_image):
    for i, shape in enumerate([(4, 6), (4, 6), (9, 9)]):
        write_image(tmp_path / f"{i}.png", np.full(shape, 50, np.uint8))
    domain = load(tmp_path)
    assert domain.x.shape == (3, 1, 4, 6) and (domain.x == 50).all()
    assert domain.notes == ("1 of 3 images resized to 4×6",)
    assert load(tmp_path, size=8).x.shape == (3, 1, 8, 8)
    with pytest.raises(DataError, match="size is 0; give a number of pixels"):
        load(tmp_path, size=0)


def test_where_no_size_is_commonest_the_middle_one_serves(tmp_path, write_image):
    for i, side in enumerate([90, 2, 7]):
        write_image(tmp_path / f"{i}.png", np.zeros((side, side), np.uint8))
    assert load(tmp_path).x.shape == (3, 1, 7, 7)


@pytest.mark.parametrize("form", [".png", ".jpg", ".gif", ".tif"])
def test_no_damage_ends_in_anything_but_a_skipped_image(tmp_path, write_image, form):
    rng = np.random.default_rng(0)
    good = write_image(tmp_path / f"good{form}", rng.integers(0, 256, (20, 20, 3), np.uint8)).read_bytes()
    for i in range(40):
        bad = bytearray(good)
        for place in rng.integers(0, 64 if i % 2 else len(bad), 4):
            bad[place] = rng.integers(256)
        (tmp_path / f"{i}{form}").write_bytes(bytes(bad[: rng.integers(len(bad))] if i % 5 == 0 else bad))
    domain = load(tmp_path, size=20, skip_bad=True)
    assert f"good{form}" in domain.row_names and "images skipped" in domain.notes[-1]


def _spoil(folder, write_image, picture):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    write_image(folder / "cat" / "1.png", noise)
    (folder / "cat" / "2.png").write_bytes(b"")
    (folder / "cat" / "3.png").write_bytes(picture(noise)[:200])
    (folder / "cat" / "4.jpg").write_bytes(b"no image at all")
    write_image(folder / "dog" / "5.png", noise)
    return noise


def test_bad_images_are_refused_with_the_first_the_count_and_the_way_out(tmp_path, write_image, picture):
    _spoil(tmp_path, write_image, picture)
    message = r"3 of 5 images cannot be read; the first is cat/2\.png \(the file is empty\).*--skip-bad"
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_bad_images_are_skipped_and_said_on_request(tmp_path, write_image, picture):
    noise = _spoil(tmp_path, write_image, picture)
    domain = load(tmp_path, skip_bad=True)
    assert domain.row_names == ["cat/1.png", "dog/5.png"] and domain.y.tolist() == [0, 1]
    np.testing.assert_array_equal(domain.x[:, 0], [noise, noise])
    assert "3 of 5 images skipped" in domain.notes[-1] and "cat/2.png" in domain.notes[-1]


def test_nothing_readable_is_an_error_even_when_skipping(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 of 1 images cannot be read.*give other images"):
        load(tmp_path, skip_bad=True)


def test_a_decompression_bomb_is_an_error_and_no_warning(tmp_path, write_image, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99)
    write_image(tmp_path / "a.gif", np.zeros((10, 15), np.uint8))
    with pytest.raises(DataError, match=r"a\.gif \(a decompression bomb"):
        load(tmp_path)
    assert not recwarn.list


def test_a_bomb_in_png_is_refused_before_it_is_decoded(tmp_path, picture):
    data = bytearray(picture(np.zeros((2, 2), np.uint8)))
    data[16:24] = (60000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"a\.png \(a decompression bomb"):
        load(tmp_path)


def test_a_programs_format_is_never_tried(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DataError, match="not an image"):
        load(tmp_path)


class TestLargeSets:
    """Sets above the limit are decoded once into a mapped file."""

    @pytest.fixture(autouse=True)
    def small_limit(self, monkeypatch):
        monkeypatch.setattr(cache, "MEMORY_LIMIT", 100)

    def test_the_mapped_file_holds_the_same_and_is_used_again(self, tmp_path, write_image, grey, monkeypatch):
        images = grey(30)
        for i, image in enumerate(images):
            write_image(tmp_path / "a" / f"{i}.png", image)
        first = load(tmp_path)
        assert isinstance(first.x, np.memmap) and not first.x.flags.writeable
        np.testing.assert_array_equal(first.x[:, 0], images)
        monkeypatch.setattr("juyi.data.images.decode_one", None)  # whoever decodes again fails
        again = load(tmp_path)
        assert again.fingerprint() == first.fingerprint() and again.notes == first.notes

    @pytest.mark.parametrize("damage", ["truncate", "garbage", "flip", "no record"])
    def test_a_damaged_file_is_made_again(self, tmp_path, write_image, grey, damage):
        for i, image in enumerate(grey(30)):
            write_image(tmp_path / "a" / f"{i}.png", image)
        want = load(tmp_path).fingerprint()
        (file,) = (cache.cache_folder() / "decoded").glob("*.npy")
        content = file.read_bytes()
        if damage == "truncate":
            file.write_bytes(content[:-50])
        elif damage == "garbage":
            file.write_bytes(b"garbage")
        elif damage == "flip":
            file.write_bytes(content[:-5] + bytes([content[-5] ^ 255]) + content[-4:])
        else:
            file.with_suffix(".json").unlink()
        assert load(tmp_path).fingerprint() == want
        assert file.read_bytes() == content

    def test_changed_images_are_decoded_anew(self, tmp_path, write_image, grey):
        for i, image in enumerate(grey(30)):
            write_image(tmp_path / f"{i}.png", image)
        before = load(tmp_path).fingerprint()
        write_image(tmp_path / "0.png", np.full((4, 5), 9, np.uint8))
        assert load(tmp_path).fingerprint() != before

    def test_skipped_images_leave_no_gap_and_refused_sets_no_file(self, tmp_path, write_image, grey):
        images = grey(30)
        for i, image in enumerate(images):
            write_image(tmp_path / f"{i}.png", image)
        write_image(tmp_path / "3.png", images[3])
        data = (tmp_path / "3.png").read_bytes()
        (tmp_path / "3.png").write_bytes(data[:-30])
        with pytest.raises(DataError, match=r"the first is 3\.png"):
            load(tmp_path)
        assert not list(cache.cache_folder().glob("decoded/*"))
        for _ in range(2):
            domain = load(tmp_path, skip_bad=True)
            np.testing.assert_array_equal(domain.x[:, 0], np.delete(images, 3, axis=0))
            assert "3.png" not in domain.row_names
        (record,) = cache.cache_folder().glob("decoded/*.json")
        assert json.loads(record.read_text())["shape"] == [29, 4, 5, 1]

    def test_rows_taken_from_a_large_set_go_to_a_file_too(self, tmp_path, write_image, grey):
        images = grey(30)
        for i, image in enumerate(images):
            write_image(tmp_path / f"{i}.png", image)
        part = load(tmp_path).select(range(29, 0, -1))
        assert part.x.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_array_equal(part.x[:, 0], images[:0:-1])
        assert not [p for p in cache.cache_folder().iterdir() if p.name != "decoded"]

    def test_a_disk_too_small_is_told_before_anything_is_written(self, tmp_path, write_image, grey, monkeypatch):
        import shutil

        for i, image in enumerate(grey(30)):
            write_image(tmp_path / f"{i}.png", image)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 5, 5))
        with pytest.raises(WriteError, match=r"no room for .* or make the images smaller with --size"):
            load(tmp_path)
        assert not list(cache.cache_folder().glob("**/*.npy"))

    def test_an_unwritable_cache_is_one_clear_line(self, tmp_path, write_image, grey, monkeypatch):
        for i, image in enumerate(grey(30)):
            write_image(tmp_path / "in" / f"{i}.png", image)
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("JUYI_CACHE", str(tmp_path / "file"))
        with pytest.raises(WriteError, match="set JUYI_CACHE to another folder"):
            load(tmp_path / "in")

import numpy as np
import pytest
from sklearn import datasets

from juyi.data import blend_with_photographs, builtin, cache, load, make
from juyi.errors import DataError


def test_the_blend_is_the_difference_to_some_patch():
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 256, (20, 4, 5), np.uint8)
    photographs = [rng.integers(0, 256, (7, 9, 3), np.uint8), rng.integers(0, 256, (4, 5, 3), np.uint8)]
    patches = [
        p[i : i + 4, j : j + 5].astype(int)
        for p in photographs
        for i in range(p.shape[0] - 3)
        for j in range(p.shape[1] - 4)
    ]
    for digit, blended in zip(digits, blend_with_photographs(digits, photographs, seed=1), strict=True):
        assert any((abs(patch - digit[:, :, None].astype(int)) == blended).all() for patch in patches)


def test_black_shows_the_photograph_and_white_its_negative():
    photograph = np.random.default_rng(0).integers(0, 256, (3, 3, 3), np.uint8)
    black, white = blend_with_photographs(
        np.stack([np.zeros((3, 3), np.uint8), np.full((3, 3), 255, np.uint8)]), [photograph], 0
    )
    np.testing.assert_array_equal(black, photograph)
    np.testing.assert_array_equal(white, 255 - photograph)


def test_the_seed_decides_and_progress_is_told():
    digits, photographs = np.zeros((30, 2, 2), np.uint8), [np.arange(300, dtype=np.uint8).reshape(10, 10, 3)]
    told = []
    first = blend_with_photographs(digits, photographs, 1, lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(first, blend_with_photographs(digits, photographs, 1))
    assert (first != blend_with_photographs(digits, photographs, 2)).any() and told == [(30, 30)]


def test_photographs_too_few_or_too_small_are_refused():
    with pytest.raises(DataError, match="no photograph"):
        blend_with_photographs(np.zeros((1, 4, 4), np.uint8), [], 0)
    with pytest.raises(DataError, match=r"3×9 pixels is smaller than the images \(4×4\); leave it out"):
        blend_with_photographs(np.zeros((1, 4, 4), np.uint8), [np.zeros((3, 9, 3), np.uint8)], 0)


def test_the_digits_are_those_of_scikit_learn_each_in_one_split():
    train, test = load("digits@train"), load("digits@test")
    assert (train.size, test.size) == (1297, 500)
    assert sorted(map(int, train.row_names + test.row_names)) == list(range(1797))
    bunch = datasets.load_digits()
    np.testing.assert_array_equal(test.y, bunch.target[[int(name) for name in test.row_names]])
    whole = np.bincount(bunch.target)
    assert (abs(test.class_counts() - whole * 500 / 1797) <= 1).all()
    assert train.x.shape[1:] == (1, 28, 28) and train.x.max() == 255 and train.x.min() == 0
    small = bunch.images[int(train.row_names[0])] * 255 / 16
    blocks = train.x[0, 0].reshape(4, 7, 4, 7).mean((1, 3))
    assert np.corrcoef(blocks.ravel(), small.reshape(4, 2, 4, 2).mean((1, 3)).ravel())[0, 1] > 0.98


def test_digits_m_lies_on_halves_of_photographs_that_the_other_split_never_sees(monkeypatch):
    seen = {}

    def blend(images, photographs, seed):
        seen[seed] = photographs
        return blend_with_photographs(images, photographs, seed)

    monkeypatch.setattr(builtin, "blend_with_photographs", blend)
    train, test = load("digits_m@train"), load("digits_m@test")
    assert train.x.shape == (1297, 3, 28, 28) and test.x.shape == (500, 3, 28, 28)
    np.testing.assert_array_equal(train.y, load("digits@train").y)
    for left, right, whole in zip(seen[0], seen[1], datasets.load_sample_images().images, strict=True):
        np.testing.assert_array_equal(np.concatenate([left, right], axis=1), whole)


def test_digits_m_is_always_the_same():
    assert load("digits_m@test").fingerprint() == load("digits_m@test").fingerprint()


@pytest.fixture
def small_sets(tmp_path, monkeypatch, write_parquet, picture):
    """A folder like `$JUYI_DATA` with four digits a split, and photographs of one colour each."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        digits = [
            {"bytes": picture(rng.integers(0, 2, (6, 6), np.uint8) * np.uint8(255)), "path": None} for _ in range(4)
        ]
        write_parquet(
            tmp_path / "mnist" / f"{split}-00000-of-00001.parquet",
            {"image": digits, "label": [0, 1, 0, 1]},
            {"label": ["0", "1"]},
        )
    shapes = [(8, 9), (9, 8)] * 4
    photographs = [{"bytes": picture(np.full((*s, 3), 10 * i, np.uint8)), "path": None} for i, s in enumerate(shapes)]
    write_parquet(tmp_path / "bsds500" / "train-00000-of-00001.parquet", {"image": photographs})
    monkeypatch.setenv("JUYI_DATA", str(tmp_path))
    return tmp_path


def test_mnist_m_is_made_once_on_photographs_that_splits_do_not_share(small_sets, monkeypatch):
    train, test = load("mnist_m@train"), load("mnist_m@test")
    assert train.x.shape == (4, 3, 6, 6) and train.classes == ("0", "1") and train.y.tolist() == [0, 1, 0, 1]
    tones = [{int(v) for v in np.minimum(d.x, 255 - d.x.astype(int)).ravel()} for d in (train, test)]
    assert tones[0] <= {0, 10, 20, 30, 40, 50} and tones[1] <= {60, 70}
    monkeypatch.delenv("JUYI_DATA")
    assert load("mnist_m@train").fingerprint() == train.fingerprint()


def test_a_damaged_file_is_made_again(small_sets):
    told = []
    paths = make("mnist_m", progress=lambda split, done, total: told.append((split, done, total)))
    assert told == [("train", 4, 4), ("test", 4, 4)] and all(path.is_file() for path in paths)
    want = load("mnist_m@train").fingerprint()
    paths[0].write_bytes(paths[0].read_bytes()[:100])
    assert load("mnist_m@train").fingerprint() == want
    assert not [p for p in (cache.cache_folder() / "made").iterdir() if p.suffix != ".npz"]


def test_without_the_ingredients_one_line_says_what_to_set():
    with pytest.raises(
        DataError, match=r"made from mnist and bsds500@train, .* set JUYI_DATA to a folder that holds both"
    ):
        load("mnist_m@test")
    with pytest.raises(DataError, match="minst_m: is no recipe; did you mean mnist_m"):
        make("minst_m")


@pytest.mark.data
def test_mnist_m_from_the_real_sets(real_data):
    plain, blended = load("mnist@test"), load("mnist_m@test")
    assert blended.x.shape == (10_000, 3, 28, 28)
    np.testing.assert_array_equal(blended.y, plain.y)
    strokes = plain.x[:2000, 0] > 250  # where the digit is white the photograph is inverted, elsewhere it is as it was
    ground = plain.x[:2000, 0] == 0
    mean = blended.x[:2000].mean(axis=1)
    assert abs(mean[strokes].mean() + mean[ground].mean() - 255) < 25

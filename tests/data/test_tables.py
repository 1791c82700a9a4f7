import csv
import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from juyi.data import archives, load, subset
from juyi.data.labels import labels_from_text
from juyi.errors import DataError


@pytest.fixture
def table(tmp_path):
    def write(text, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_csv_file_with_words_as_labels(table):
    domain = load(table("a,kind,b\n1,dog,2.5\n3,,4\n5,cat,-1e3\n"), label="kind")
    np.testing.assert_array_equal(domain.x, np.float32([[1, 2.5], [3, 4], [5, -1000]]))
    assert domain.classes == ("cat", "dog") and domain.labelled.tolist() == [True, False, True]
    assert domain.y[domain.labelled].tolist() == [1, 0]


def test_integers_are_classes_in_counting_order_and_floats_are_values(table):
    assert load(table("a,label\n1,10\n2,9\n")).classes == ("9", "10")
    values = load(table("a,label\n1,0.5\n2,\n3,2\n"))
    assert (
        values.classes is None and values.y.tolist() == [0.5, 0, 2] and values.labelled.tolist() == [True, False, True]
    )


def test_whole_numbers_written_with_a_point_are_values_and_that_is_said(table):
    domain = load(table("a,label\n1,1.0\n2,2.0\n"))
    assert domain.classes is None and "written with a point" in domain.notes[0]


def test_no_label_column_means_no_labels_and_a_constant_column_is_said(table):
    domain = load(table("a,b\n1,7\n2,7\n"))
    assert not domain.labelled.any() and domain.notes == ("the same in every row, so of no use: b",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,label\n1,cat\n2,\n3,7\n", r"line 4: column label holds '7', a number, .* words for all rows, or numbers"),
        (
            "a,label\n1,7\n2,cat\n",
            r"line 3: column label holds 'cat', a word, while earlier rows hold a number \('7'\)",
        ),
        ("a,label\n1,0.5\n2,inf\n", r"line 3: column label holds inf.*leave the cell empty"),
        ("a,b,label\n1,2,x\n\n3,nan,y\n", r"line 4: column b holds nan, but features are finite numbers; fill such"),
        ("a,b,label\n1,-inf,x\n", r"line 2: column b holds -inf"),
        ("a,b,label\n1,1e99,x\n", r"line 2: column b holds 1e\+99"),
        ("a,b,label\n1,2,x\n1,oops,x\n", r"line 3: column b holds 'oops', but features are numbers; fill such cells"),
        ('a,b,label\n1,2,"x\ny"\n1,,z\n', r"line 4: column b holds nothing"),
        ("a,city,day,label\n1,Rome,Mo,x\n", r"columns city, day hold no numbers; remove such columns or turn them"),
        ("a,city\n1,Rome\n", r"column city holds no numbers; .* as in --label city"),
        ("", r"cannot be read|is empty"),
        ("a,label\n", r"not a single row"),
        ("label\nx\n", r"no column besides the labels"),
        ("a,a\n1,2\n", r"two columns named 'a'; rename one"),
        ("1,2\n3,4\n", r"line 1: holds only numbers, but it must name the columns"),
        ("a;b\n1;2\n", r"header has no comma"),
        ("0 4 16\n1 2 3\n", r"header has no comma"),
        ("a,b\n1,2,3\n", r"cannot be read as CSV .*Expected 2 columns, got 3"),
        ("a,ü\n1,2\n".encode("latin-1"), r"is not UTF-8"),
    ],
)
def test_bad_tables_are_refused_with_place_and_way_out(table, text, message):
    with pytest.raises(DataError, match=message):
        load(table(text))


def test_an_unknown_label_column_names_the_nearest(table):
    with pytest.raises(DataError, match=r"no column speices .*did you mean species"):
        load(table("a,species\n1,x\n"), label="speices")


def test_the_line_is_right_in_a_subset_too(table):
    text = "a,label\n" + "1,x\n" * 50 + "nan,y\n" + "1,x\n" * 50
    with pytest.raises(DataError, match="line 52: column a"):
        load(f"{table(text)}[:100]", seed=1)


cells = st.text("ab,\"\n' é", max_size=4).map(str.strip)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), cells), min_size=1, max_size=12))
def test_any_words_in_csv_come_back_as_labels(tmp_path, rows):
    path = tmp_path / "w.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("a", "label"), *rows])
    domain = load(path)
    assert domain.size == len(rows)
    for i, (number, word) in enumerate(rows):
        assert domain.x[i, 0] == np.float32(number)
        assert (domain.classes[domain.y[i]] if domain.labelled[i] else "") == word


@given(st.lists(st.none() | st.integers(-(10**6), 10**6), min_size=1))
def test_any_integers_come_back_as_classes_with_minus_one_legal(values):
    labels = labels_from_text(["" if v is None else str(v) for v in values], "label", str)
    assert [int(labels.classes[c]) if k else None for c, k in zip(labels.y, labels.labelled, strict=True)] == values


def test_a_parquet_table(tmp_path, write_parquet):
    columns = {"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "yes": [True, False, True], "kind": ["x", None, "y"]}
    domain = load(write_parquet(tmp_path / "t.parquet", columns), label="kind")
    np.testing.assert_array_equal(domain.x, np.float32([[1, 0.5, 1], [2, 1.5, 0], [3, 2.5, 1]]))
    assert domain.classes == ("x", "y") and domain.labelled.tolist() == [True, False, True]
    with pytest.raises(DataError, match="column kind holds no numbers"):
        load(tmp_path / "t.parquet")


def test_parquet_refuses_null_features_and_unknown_codes(tmp_path, write_parquet):
    with pytest.raises(DataError, match="row 1: column a holds nan"):
        load(write_parquet(tmp_path / "n.parquet", {"a": [1.0, None]}))
    path = write_parquet(tmp_path / "c.parquet", {"a": [1.0, 2.0], "label": [0, 5]}, {"label": ["x", "y"]})
    with pytest.raises(DataError, match="row 1: column label holds the code 5, but the file names 2 classes"):
        load(path)


def test_parquet_images_with_class_names(tmp_path, write_parquet, picture, grey):
    images = grey(5)
    columns = {
        "image": [{"bytes": picture(image), "path": None} for image in images],
        "label": [0, 1, -1, None, 1],
        "animal": [2, 2, 0, 1, 1],
    }
    names = {"label": ["no", "yes"], "animal": ["ant", "bee", "cat"]}
    path = write_parquet(tmp_path / "i.parquet", columns, names)
    domain = load(path)
    np.testing.assert_array_equal(domain.x[:, 0], images)
    assert domain.classes == ("no", "yes") and domain.labelled.tolist() == [True, True, False, False, True]
    other = load(path, label="animal")
    assert other.classes == ("ant", "bee", "cat") and other.y.tolist() == [2, 2, 0, 1, 1]
    with pytest.raises(DataError, match=r"no column animals .*did you mean animal"):
        load(path, label="animals")
    part, whole = load(f"{path}[:3]", seed=7), subset(load(path), 3, seed=7)
    assert part.fingerprint() == whole.fingerprint() and part.row_names == whole.row_names


def test_a_path_in_parquet_is_never_opened(tmp_path, write_parquet, write_image, grey):
    secret = write_image(tmp_path / "secret.png", grey(1)[0])
    columns = {"image": [{"bytes": None, "path": str(secret)}]}
    import pyarrow as pa

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    path = write_parquet(tmp_path / "i.parquet", {"image": pa.array(columns["image"], kind)})
    with pytest.raises(DataError, match=r"the first is row 0 .the row holds no bytes"):
        load(path)


def test_any_damage_to_parquet_is_one_line(tmp_path, write_parquet):
    rng = np.random.default_rng(0)
    good = write_parquet(tmp_path / "g.parquet", {"a": [1.0, 2.0], "label": ["x", "y"]}).read_bytes()
    for _ in range(60):
        bad = bytearray(good)
        for place in rng.integers(0, len(bad), 4):
            bad[place] = rng.integers(256)
        (tmp_path / "b.parquet").write_bytes(bytes(bad))
        try:
            load(tmp_path / "b.parquet")
        except DataError as error:
            assert "\n" not in str(error)


def test_damaged_parquet_is_one_line(tmp_path):
    (tmp_path / "d.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(DataError, match="cannot be read as parquet") as error:
        load(tmp_path / "d.parquet")
    assert "\n" not in str(error.value)


def test_npz_with_images_codes_and_names(tmp_path, grey):
    path = tmp_path / "a.npz"
    np.savez(path, x=grey(3), y=np.array([1, 0, 1]), classes=np.array(["cat", "dog"]))
    domain = load(path)
    assert domain.classes == ("cat", "dog") and domain.y.tolist() == [1, 0, 1] and domain.x.shape == (3, 1, 4, 5)
    assert load(f"{path}[:2]").size == 2


def _raw_npz(path, header, data):
    body = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", body)
    return path


def test_hostile_archives_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="holds Python objects, which may run code"):
        load(path)
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (10, 99999999999), }\n"
    with pytest.raises(DataError, match=r"x\.npy declares 999999999990 bytes but has 4"):
        load(_raw_npz(path, header, b"1234"))
    np.savez_compressed(path, x=np.zeros((4000, 1000), np.uint8))
    monkeypatch.setattr(archives, "memory_limit", lambda: 10**6)
    with pytest.raises(DataError, match="more than this machine's memory can hold; save fewer rows"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"\x93NUMPY"])
def test_damaged_archives_are_one_line(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as \.npz .*np\.savez"):
        load(tmp_path / "a.npz")


def test_an_archive_cut_short_or_without_x_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros((50, 50), np.float32))
    (tmp_path / "a.npz").write_bytes(buffer.getvalue()[:-400])
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", images=np.zeros(3))
    with pytest.raises(DataError, match=r"has no array x; save it with np\.savez"):
        load(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", x=np.zeros((2, 2)), y=np.array([0, 1]), classes=np.array([5, 6]))
    with pytest.raises(DataError, match="classes must be a list of texts"):
        load(tmp_path / "c.npz")

"""Files that are whole or not there, and files that are not trusted."""

import errno
import json
import os
import pickle
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from juyi.errors import ForeignFileError, WriteError
from juyi.runs.files import read_json, read_tensors, write_bytes, write_json, write_tensors, write_text


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["os.fsync", "os.replace", "pathlib.Path.replace", "pathlib.Path.open"])
def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, where):
    path = tmp_path / "a.json"
    write_bytes(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        if where == "os.replace":
            patch.setattr(Path, "replace", full)
        with pytest.raises(WriteError, match=r"a.json: cannot be written .No space left on device.; free some space"):
            write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_reader_sees_the_old_file_until_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    path, seen = tmp_path / "a", []
    write_bytes(path, b"old")
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (seen.append(path.read_bytes()), fsync(fd)))
    write_bytes(path, b"new")
    assert seen == [b"old", b"new"]  # the file is flushed before it is renamed, the folder after


def test_stopping_with_a_key_leaves_nothing_beside(tmp_path, monkeypatch):
    """Ctrl-C while a model was written used to leave a hidden temporary file in the run folder for ever."""

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_path_below_a_file_is_a_write_error(tmp_path):
    """The clean-up used to raise NotADirectoryError, and to hide the sentence that says what to do."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(WriteError, match=r"file/below/a.json: cannot be written"):
        write_json(tmp_path / "file" / "below" / "a.json", {})
    with pytest.raises(WriteError, match=r"cannot be written"):
        write_tensors(tmp_path / "file" / "a.safetensors", {"a": torch.zeros(1)})


def test_a_file_name_that_is_no_utf8_can_be_written_about(tmp_path):
    """Predictions name files; one odd name used to fail at the end of the whole training."""
    odd = os.fsdecode(b"caf\xe9.png")
    write_json(tmp_path / "a.json", {"name": odd})
    assert read_json(tmp_path / "a.json") == {"name": odd}
    write_text(tmp_path / "a.csv", f"{odd},cat\nété,dog\n")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "caf\\udce9.png,cat\nété,dog\n"


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000], ids=["empty", "half", "binary", "deep"])
def test_json_by_others(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ForeignFileError, match=r"a.json: is not a JSON file that Juyi wrote"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ForeignFileError, match=r"there is no such file; the run is incomplete"):
        read_json(tmp_path / "b.json")
    with pytest.raises(ForeignFileError):
        read_json(tmp_path)


TENSORS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda s: s != "__metadata__"),
    st.builds(
        lambda shape, kind, seed: (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 100).to(kind),
        st.lists(st.integers(0, 3), max_size=4),
        st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]),
        st.integers(0, 9),
    ),
    max_size=5,
)
NOTES = st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.integers(), st.floats(allow_nan=False), st.text()))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TENSORS, NOTES)
def test_tensors_and_their_note_come_back_to_the_bit(tmp_path, tensors, note):
    write_tensors(tmp_path / "a.safetensors", tensors, note)
    found, read = read_tensors(tmp_path / "a.safetensors")
    assert read == note and found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value)


def test_tensors_lie_as_they_may(tmp_path):
    base = torch.arange(24.0).reshape(1, 2, 3, 4)
    tensors = {
        "last": base.to(memory_format=torch.channels_last), "turned": base[0, 0].T, "shared": base, "again": base,
        "part": base[:, :, 1], "grown": torch.ones(1, 3).expand(5, 3), "learnt": torch.nn.Parameter(base),
    }  # fmt: skip
    write_tensors(tmp_path / "a", tensors)
    found, _ = read_tensors(tmp_path / "a")
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


def damaged(tmp_path):
    write_tensors(tmp_path / "good", {"a": torch.randn(50)}, {"model": "x"})
    good = (tmp_path / "good").read_bytes()
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "others.safetensors")
    return {
        "empty": b"",
        "half": good[: len(good) // 2],
        "a byte short": good[:-1],
        "header cut": good[:20],
        "garbage": bytes(range(256)) * 4,
        "huge header": struct.pack("<Q", 2**63 - 1) + b"{}",
        "header larger than the file": struct.pack("<Q", 99_000_000) + b"{}",
        "offsets outside": good.replace(b'"data_offsets":[0,200]', b'"data_offsets":[0,999]'),
        "a pickle": pickle.dumps({"a": 1}),
        "by others": (tmp_path / "others.safetensors").read_bytes(),
        "deep note": safetensors.torch.save({"a": torch.zeros(1)}, {"juyi": "[" * 100_000}),
        "note no table": safetensors.torch.save({"a": torch.zeros(1)}, {"juyi": "[1]"}),
        "note no json": safetensors.torch.save({"a": torch.zeros(1)}, {"juyi": "{'a'}"}),
    }


def test_damaged_and_foreign_tensors_are_refused(tmp_path):
    contents = damaged(tmp_path)
    assert len(contents) == 13
    for what, content in contents.items():
        path = tmp_path / "a.safetensors"
        path.write_bytes(content)
        with pytest.raises(ForeignFileError, match=r"a\.safetensors: (is damaged or|was not written by)") as caught:
            read_tensors(path)
        assert "\n" not in str(caught.value), what
    with pytest.raises(ForeignFileError, match=r"there is no such file"):
        read_tensors(tmp_path / "absent")
    with pytest.raises(ForeignFileError):
        read_tensors(tmp_path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_changed_byte_is_a_sentence_or_other_numbers_but_never_a_crash(tmp_path, data):
    write_tensors(tmp_path / "good", {"a": torch.arange(4.0)}, {"model": "x"})
    content = bytearray((tmp_path / "good").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "bad").write_bytes(content)
    try:
        tensors, note = read_tensors(tmp_path / "bad")
    except ForeignFileError:
        return
    assert isinstance(note, dict) and all(isinstance(t, torch.Tensor) for t in tensors.values())
    json.dumps(note)

"""The run folder: made without harming what is there, opened only if it is one."""

import json
import threading

import pytest

from juyi.errors import ForeignFileError, RunFolderError, WriteError
from juyi.runs import SCHEMA, RunFolder


def test_the_first_free_folder_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        folder = RunFolder.create(None, "dann")
        names.append(str(folder.path))
        folder.write({})
    assert names == ["runs/dann-1", "runs/dann-2", "runs/dann-3"]
    (tmp_path / "runs" / "dann-17").mkdir()
    (tmp_path / "runs" / "dann-mine").mkdir()
    assert str(RunFolder.create(None, "dann").path) == "runs/dann-18"
    assert str(RunFolder.create(None, "adda").path) == "runs/adda-1"


def test_runs_that_start_together_have_folders_of_their_own(tmp_path, monkeypatch):
    """Two commands started at the same moment used to share one folder, and to overwrite each other."""
    monkeypatch.chdir(tmp_path)
    start, made = threading.Barrier(8), []

    def begin():
        start.wait()
        made.append(RunFolder.create(None, "dann").path)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert len(set(made)) == 8


def test_runs_cannot_be_made_where_runs_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("x")
    with pytest.raises(WriteError, match=r"name another folder with --out"):
        RunFolder.create(None, "dann")


def test_what_is_there_is_not_harmed(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match=r"file: is a file; name a folder with --out"):
        RunFolder.create(tmp_path / "file", "dann")
    with pytest.raises(WriteError, match=r"below: cannot be made .Not a directory.; name another folder with --out"):
        RunFolder.create(tmp_path / "file" / "below", "dann")
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    (photographs / "a.png").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(RunFolderError, match=r"holds files that are not a run; name another folder"):
            RunFolder.create(photographs, "dann", overwrite=overwrite)
    assert (photographs / "a.png").exists()


def test_overwriting_replaces_the_run_and_keeps_the_rest(tmp_path):
    folder = RunFolder.create(tmp_path / "r", "dann")
    folder.write({"status": "finished"})
    for part in (folder.models, folder.records, folder.figures, folder.checkpoint):
        part.mkdir()
        (part / "old").write_text("x")
    for part in (folder.log, folder.predictions, folder.report, tmp_path / "r" / "my notes.txt"):
        part.write_text("x")
    with pytest.raises(RunFolderError, match=r"holds a run already; add --overwrite to replace it"):
        RunFolder.create(tmp_path / "r", "dann")
    assert folder.read()["status"] == "finished" and folder.log.exists()
    RunFolder.create(tmp_path / "r", "dann", overwrite=True)
    assert [p.name for p in (tmp_path / "r").iterdir()] == ["my notes.txt"]


def test_an_empty_folder_is_taken_as_it_is(tmp_path):
    (tmp_path / "r").mkdir()
    assert RunFolder.create(tmp_path / "r", "dann").path == tmp_path / "r"


def test_opening_what_is_no_run(tmp_path):
    with pytest.raises(RunFolderError, match=r"there is no such folder; name the folder that `juyi adapt`"):
        RunFolder.open(tmp_path / "absent")
    with pytest.raises(RunFolderError, match=r"holds no run.json, so it is not a run"):
        RunFolder.open(tmp_path)
    for content, error, words in (
        ("{", ForeignFileError, "is not a JSON file"),
        ("[]", RunFolderError, "is not a run's record"),
        (json.dumps({"schema": SCHEMA + 1}), RunFolderError, f"written with schema {SCHEMA + 1}.*update Juyi"),
        ("{}", RunFolderError, "was not written by Juyi"),
    ):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(error, match=words):
            RunFolder.open(tmp_path)


def test_the_record_comes_back_with_its_schema(tmp_path):
    folder = RunFolder.create(tmp_path / "r", "dann")
    folder.write({"method": "dann", "classes": ["köttur", "犬"]})
    assert RunFolder.open(tmp_path / "r").read() == {"schema": SCHEMA, "method": "dann", "classes": ["köttur", "犬"]}


def test_what_a_killed_process_left_beside_its_place_is_swept_away(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "dann")
    folder.write({"status": "running"})
    folder.models.mkdir()
    (folder.models / ".dann.json.0a1b2c3d.tmp").write_text("half")
    (folder.models / "dann.json").write_text("{}")
    folder.sweep()
    assert [path.name for path in folder.models.iterdir()] == ["dann.json"]
    assert folder.read()["status"] == "running"

"""What the tests of the command share: a folder to work in, tiny data, and the command in this process."""

import shutil
from dataclasses import dataclass

import pytest

from cli.cli_data import QUICK, arrays, tree
from juyi.cli import main


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path, tmp_path_factory):
    """Every test works in an empty folder of its own, with a cache of its own."""
    monkeypatch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("JUYI_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Said:
    """What a call of the command answered."""

    code: int
    out: str
    err: str

    @property
    def line(self):
        """The one line of an error."""
        lines = self.err.splitlines()
        assert lines and lines[-1].startswith("juyi: "), self.err
        assert "Traceback" not in self.err
        return lines[-1]


@pytest.fixture
def juyi(capsys):
    """Call the command in this process."""

    def call(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture
def refused(juyi):
    """Call the command with wrong input: one line with these words, and not a file is changed."""

    def call(arguments, *words, code=2):
        before = tree()
        said = juyi(*arguments)
        assert said.code == code, said
        assert len(said.err.splitlines()) == 1, said.err
        assert said.out == ""
        for word in words:
            assert str(word) in said.line, f"{word!r} is not in {said.line!r}"
        assert tree() == before
        return said.line

    return call


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory):
    """A finished adaptation with a test, made once; tests that change it take `finished`."""
    folder = tmp_path_factory.mktemp("finished")
    arrays(folder / "source.npz")
    arrays(folder / "target.npz", seed=1, shift=0.5)
    arrays(folder / "test.npz", seed=2, shift=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
        code = main(["adapt", "source.npz", "target.npz", "--test", "test.npz", "--out", "run", *QUICK])
    assert code == 0
    return folder


@pytest.fixture
def finished(finished_folder, tmp_path):
    """A copy of the finished adaptation and its data in this test's folder; the run is `run`."""
    shutil.copytree(finished_folder, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"

"""`adapt.run` and `Outcome` from Python: what is refused before a folder is made, and what a run looks at."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from juyi import adapt
from juyi.adapt import DANN, Request, SourceOnly
from juyi.adapt.outcome import Outcome
from juyi.errors import DataError, RunFolderError, SettingError

QUICK = {"epochs": 1, "batch": 16, "precision": "float32"}


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path, tmp_path_factory):
    monkeypatch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("JUYI_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    for name, seed in (("source", 0), ("target", 1), ("test", 2)):
        y = np.arange(60) % 3
        x = np.random.default_rng(seed).normal(size=(60, 4)) + 3 * y[:, None]
        np.savez(f"{name}.npz", x=x.astype(np.float32), y=y)


def request(**changes):
    return Request(**{"source": "source.npz", "target": "target.npz", "test": "test.npz", **changes})


@pytest.mark.parametrize(
    ("changes", "settings", "kind"),
    [
        ({"source": "gone.npz"}, {}, DataError),
        ({"target": "gone.npz"}, {}, DataError),
        ({"test": "gone.npz"}, {}, DataError),
        ({"target_labels": "many"}, {}, SettingError),
        ({}, {"net": "lenet6"}, SettingError),
        ({}, {"epochs": 0}, SettingError),
        ({}, {"batch": 61}, DataError),
        ({}, {"batch": 55}, DataError),
    ],
)
def test_wrong_input_leaves_no_folder(changes, settings, kind):
    with pytest.raises(kind):
        adapt.run(request(**changes), DANN(**{**QUICK, **settings}), out="run")
    assert not Path("run").exists()


def test_the_test_set_is_opened_once_at_the_end(monkeypatch):
    seen = []
    opened, score, learn = Outcome._open, Outcome._score, adapt.Adapter.learn

    def watch(function, name):
        def watched(*arguments, **options):
            seen.append(name(arguments))
            return function(*arguments, **options)

        return watched

    monkeypatch.setattr(Outcome, "_open", watch(opened, lambda a: "open"))
    monkeypatch.setattr(Outcome, "_score", watch(score, lambda a: a[2]))
    monkeypatch.setattr(adapt.Adapter, "learn", watch(learn, lambda a: "learn"))
    record = adapt.run(request(), DANN(**QUICK), out="run").read()
    assert seen == ["learn", "learn", "source_validation", "open", "test"]
    assert [entry["data"] for entry in record["openings"]] == ["test.npz"]


def test_without_a_test_nothing_is_opened_and_the_verdict_says_so():
    record = adapt.run(request(test=None), DANN(**QUICK), out="run").read()
    assert record["openings"] == []
    assert record["verdict"]["evidence"] == "label_free"
    assert {result["on"]["role"] for result in record["results"]} == {"source_validation"}


def test_the_test_set_changes_nothing_that_is_learnt():
    adapt.run(request(), DANN(**QUICK), out="with")
    adapt.run(request(test=None), DANN(**QUICK), out="without")
    for part in ("predictions.csv", "models/dann.safetensors", "models/source_only.safetensors"):
        assert Path("with", part).read_bytes() == Path("without", part).read_bytes(), part


def test_source_only_has_the_settings_that_it_shares_with_the_method():
    record = adapt.run(request(), DANN(**QUICK, learning_rate=0.01, random_state=3), out="run").read()
    alone = adapt.run(request(), SourceOnly(**QUICK, learning_rate=0.01, random_state=3), out="alone").read()
    assert record["seed"] == 3
    models = [Path(run, "models", "source_only.safetensors").read_bytes() for run in ("run", "alone")]
    assert models[0] == models[1]
    assert alone["serves"] == "source_only"
    assert "verdict" not in alone


def test_a_network_of_ones_own_is_recorded_by_its_name():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.width = torch.nn.Linear(4, 5), torch.nn.Linear(5, 3), 5

    record = adapt.run(request(), DANN(**QUICK, net=Own()), out="run").read()
    assert record["hyperparameters"]["net"] == "Own"
    assert json.loads(Path("run/models/dann.json").read_text())["network"] == "Own"


def test_only_a_run_of_juyis_own_is_replaced():
    Path("other/models").mkdir(parents=True)
    Path("other/run.json").write_text('{"name": "a run of something else"}')
    Path("other/models/weights").write_text("years of work")
    with pytest.raises(RunFolderError):
        adapt.run(request(), DANN(**QUICK), out="other", overwrite=True)
    assert Path("other/models/weights").read_text() == "years of work"
    assert "something else" in Path("other/run.json").read_text()


def test_runs_without_a_name_are_numbered():
    folders = [adapt.run(request(target=None), SourceOnly(**QUICK)).path for _ in range(2)]
    assert [str(folder) for folder in folders] == ["runs/source_only-1", "runs/source_only-2"]

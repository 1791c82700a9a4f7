"""Choosing among finished runs, without labels: over methods, hyperparameters and epochs."""

import json
import shutil

import pytest

import juyi
from juyi.adapt import DANN, MCC, Request
from juyi.adapt.choose_runs import choose_among
from juyi.check.adapter import small
from juyi.check.common import shifted_domains
from juyi.errors import DataError, RunFolderError


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs on the same data: two methods, one of them with two settings; the last one learns nothing."""
    place = tmp_path_factory.mktemp("runs")
    source, target = shifted_domains()
    for domain, name in ((source, "there"), (target, "here")):
        rows = [",".join([*(f"f{k}" for k in range(8)), "kind"])]
        rows += [",".join([*map(str, x), "abc"[y]]) for x, y in zip(domain.x, domain.y, strict=True)]
        (place / f"{name}.csv").write_text("\n".join(rows))
    request = Request(str(place / "there.csv"), str(place / "here.csv"), label="kind")
    methods = {"mcc": small(MCC, 15), "dann": small(DANN, 15), "still": small(DANN, 15, learning_rate=0.0)}
    return [juyi.adapt.run(request, method, out=place / name) for name, method in methods.items()]


def test_models_of_all_runs_are_candidates(runs):
    choice = choose_among(runs)
    names = {"source_only", "mcc/mcc", "dann/dann", "dann/source_only", "still/dann", "still/source_only"}
    assert {*choice.ranking, *choice.out} == names
    assert choice.name in {"mcc/mcc", "dann/dann"} and choice.serves == choice.name
    assert "still/dann" in choice.out  # a model that has learnt nothing does not know the source


def test_epochs_are_candidates_if_one_asks(runs):
    choice = choose_among(runs[:2], moments=True)
    assert {f"mcc/mcc@0.{epoch}" for epoch in range(1, 16)} <= {*choice.ranking, *choice.out}


def test_it_reads_no_label_of_the_target(runs, tmp_path):
    """Nothing but scores is in what it reads; the order of the runs names the floor and changes no choice."""
    assert choose_among(runs[:2]).name == choose_among(runs[1::-1]).name


def test_runs_that_cannot_be_compared_are_refused(runs, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(runs[0].path, other)
    record = json.loads((other / "run.json").read_text())
    record["data"]["target"]["fingerprint"] = "0" * 16
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="another target"):
        choose_among([runs[0], other])
    record["status"] = "running"
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunFolderError, match="not finished"):
        choose_among([other])
    with pytest.raises(DataError, match="no source_only"):
        choose_among([])


def test_compare_says_which_would_be_chosen(runs, capsys, tmp_path):
    from juyi.cli import main

    assert main(["compare", *(str(run.path) for run in runs[:2]), "--out", str(tmp_path / "page.html")]) == 0
    assert "would be chosen (it answers as the ensemble on" in capsys.readouterr().out

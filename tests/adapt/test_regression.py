"""Labels that are numbers, through the whole path: learn, run, predict, resume, report; and what refuses them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score

import juyi
from juyi import adapt
from juyi.adapt import DANN, METHODS, BiasedRegularisation, Request, SourceOnly, TargetOnly
from juyi.adapt.draw import draw
from juyi.cli import main
from juyi.data import Domain
from juyi.errors import DataError, RunFolderError, SettingError
from juyi.report import compare, write_report
from juyi.training import Checkpoint, read_run

WEATHER = ("weather@beijing-2016", "weather@chicago-2016")
TEST = "weather@chicago-2017"


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path, tmp_path_factory):
    monkeypatch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("JUYI_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def chicago(tmp_path_factory):
    """A finished run from Beijing to Chicago with five labels."""
    place = tmp_path_factory.mktemp("chicago") / "run"
    return adapt.run(Request(*WEATHER, test=TEST, target_labels="5"), BiasedRegularisation(), out=place)


def numbers(n=120, d=3, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d)) + shift).astype(np.float32)
    return x, (1e5 + 2e4 * x[:, 0] - 1e4 * x[:, 1] + 500 * rng.normal(size=n)).astype(np.float32)


def table(path, x, y=None, decimals=2):
    with Path(path).open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*(f"c{i}" for i in range(x.shape[1])), *(["label"] if y is not None else [])])
        for row, line in enumerate(x):
            out.writerow([*(f"{v:.5f}" for v in line), *([f"{y[row]:.{decimals}f}"] if y is not None else [])])


def test_a_linear_network_learns_what_least_squares_learns():
    x, y = numbers()
    model, known = SourceOnly().fit(x, y), LinearRegression().fit(x, y)
    np.testing.assert_allclose(model.predict(x), known.predict(x), rtol=1e-5)
    assert model.predict(x).dtype == np.float32 and model.net_.name == "linear"
    assert model.score(x, y) == pytest.approx(r2_score(y, known.predict(x)), abs=1e-5)
    weights = np.random.default_rng(1).uniform(size=len(y))
    assert model.score(x, y, weights) == pytest.approx(r2_score(y, known.predict(x), sample_weight=weights), abs=1e-5)


def test_a_network_of_layers_learns_numbers_of_any_size_under_the_same_settings():
    x, y = numbers(300)
    shared = {"net": "mlp", "epochs": 60, "precision": "float32"}
    one, other = (SourceOnly(**shared).fit(x, scale * y + move) for scale, move in ((1.0, 0.0), (1e-6, -5.0)))
    assert one.score(x, y) > 0.97
    np.testing.assert_allclose(1e-6 * one.predict(x) - 5, other.predict(x), atol=0.002)


def test_unknown_numbers_are_nan_and_not_learnt_from():
    x, y = numbers()
    holes = y.copy()
    holes[::3] = np.nan
    model, known = SourceOnly().fit(x, holes), LinearRegression().fit(x[~np.isnan(holes)], y[~np.isnan(holes)])
    np.testing.assert_allclose(model.predict(x), known.predict(x), rtol=1e-5)
    assert model.score(x, holes) == pytest.approx(r2_score(y[~np.isnan(holes)], known.predict(x)[~np.isnan(holes)]))
    assert SourceOnly().fit(Domain(x, y)).score(Domain(x, y)) > 0.9


def test_source_only_counts_the_target_labels_as_much_as_the_sources():
    x, y = numbers()
    few = np.full(120, np.nan)
    few[:10] = y[:10] + 1e5
    model = SourceOnly().fit(x, y, target=Domain(x, np.nan_to_num(few), ~np.isnan(few)))
    weights = np.concatenate([np.full(120, 1 / 120), np.full(10, 1 / 10)])
    known = LinearRegression().fit(np.concatenate([x, x[:10]]), np.concatenate([y, few[:10]]), weights)
    np.testing.assert_allclose(model.predict(x), known.predict(x), rtol=1e-4)


def test_a_model_of_numbers_has_no_probabilities_and_two_numbers_are_needed_to_score():
    x, y = numbers()
    model = SourceOnly().fit(x, y)
    with pytest.raises(SettingError, match="tells numbers, which have no probabilities; use predict"):
        model.predict_proba(x)
    with pytest.raises(DataError, match="has not two numbers as labels"):
        model.score(x[:1], y[:1])
    with pytest.raises(DataError, match="has not two numbers as labels"):
        model.score(x)


def test_a_run_holds_three_models_errors_with_their_unit_and_a_verdict_against_the_labels_alone(chicago):
    record = chicago.read()
    assert (record["classes"], record["unit"], record["floor"]) == (None, "°C", "target_only")
    test = {r["model"]: r for r in record["results"] if r["on"]["role"] == "test"}
    assert list(test) == ["source_only", "target_only", "biased_regularisation"]
    data = juyi.load(TEST)
    for model, result in test.items():
        told = read_run(chicago, model).predict(data)
        assert result["value"] == pytest.approx(mean_absolute_error(data.y, told), rel=1e-6)
        assert result["low"] < result["value"] < result["high"]
        assert (result["name"], result["unit"], result["n"]) == ("mean_absolute_error", "°C", 365)
        assert result["saw_target_labels"] == (model != "source_only")
    verdict = record["verdict"]
    gain = test["target_only"]["value"] - test["biased_regularisation"]["value"]
    assert verdict["gain"] == pytest.approx(gain) and verdict["unit"] == "°C"
    assert verdict["answer"] == ("helped" if verdict["low"] > 0 else "cannot_tell")
    assert any(note.startswith("biased_regularisation: the source counts") for note in record["notes"])
    assert [opening["data"] for opening in record["openings"]] == [TEST]


def test_what_is_told_of_the_target_is_in_the_table_and_in_the_figure(chicago):
    lines = list(csv.DictReader(chicago.predictions.read_text().splitlines()))
    target = juyi.load(WEATHER[1])
    assert [line["name"] for line in lines] == list(target.row_names)
    for model in ("source_only", "target_only", "biased_regularisation"):
        told = [float(line[model]) for line in lines]
        np.testing.assert_allclose(told, read_run(chicago, model).predict(target), rtol=1e-5, atol=1e-5)
    figure = json.loads((chicago.figures / "numbers.json").read_text())
    given = {name: value for name, value in zip(figure["name"], figure["given"], strict=True) if value is not None}
    assert len(given) == 5 and figure["unit"] == "°C"
    assert given == {name: pytest.approx(float(target.y[list(target.row_names).index(name)])) for name in given}


def test_source_only_in_it_is_the_source_alone_and_target_only_the_labels_alone(chicago):
    source, target = (juyi.load(name) for name in WEATHER)
    few = juyi.withhold_labels(target, 5)
    trained, _ = juyi.data.hold_out(source)
    for model, method, given in (
        ("source_only", SourceOnly(), juyi.withhold_labels(target)),
        ("target_only", TargetOnly(), few),
    ):
        again = method.fit(trained, target=given)
        np.testing.assert_allclose(read_run(chicago, model).predict(target), again.predict(target), rtol=1e-5)


def test_harm_is_said_first_and_a_relation_that_is_found_does_none(capsys):
    words = ["adapt", "weather@beijing-2016", "weather@auckland-2016", "--test", "weather@auckland-2017"]
    words += ["--method", "biased_regularisation", "--target-labels", "5"]
    assert main([*words, "--slope", "1", "--penalty", "20", "--out", "hurt"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Adapting hurt (biased_regularisation is worse than target_only, that is, than not")
    assert "mean absolute error on weather@auckland-2017, 365 rows (95 % interval)" in said and " °C  (" in said
    assert main([*words, "--slope", "free", "--out", "found"]) == 0
    found = json.loads(Path("found/run.json").read_text())
    assert found["verdict"]["answer"] in ("helped", "no_difference", "cannot_tell") and found["verdict"]["gain"] > 0


def test_without_a_test_the_verdict_is_the_bound():
    record = adapt.run(Request(*WEATHER, target_labels="5"), BiasedRegularisation(), out="run").read()
    lines = list(csv.DictReader(Path("run/predictions.csv").read_text().splitlines()))
    apart = np.mean([abs(float(one["target_only"]) - float(one["biased_regularisation"])) for one in lines])
    assert record["verdict"]["evidence"] == "label_free" and record["verdict"]["gain"] is None
    assert record["verdict"]["high"] == pytest.approx(apart, rel=1e-4) == -record["verdict"]["low"]
    assert record["openings"] == []


def test_train_predict_and_report_from_the_command_line(capsys):
    x, y = numbers()
    table("train.csv", x, y)
    table("new.csv", x[:7])
    table("test.csv", *numbers(seed=1))
    assert main(["train", "train.csv", "--test", "test.csv", "--out", "run"]) == 0
    assert "mean absolute error on test.csv, 120 rows" in capsys.readouterr().out
    record = json.loads(Path("run/run.json").read_text())
    assert record["unit"] == "" and "verdict" not in record and record["network"]["name"] == "linear"
    assert main(["predict", "run", "new.csv"]) == 0
    lines = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(lines[0]) == ["name", "prediction"] and len(lines) == 7
    np.testing.assert_allclose([float(line["prediction"]) for line in lines], y[:7], atol=5000)
    assert main(["predict", "run", "new.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0] == {
        "name": "0", "prediction": pytest.approx(float(lines[0]["prediction"]))
    }  # fmt: skip
    before = Path("run/report.html").read_bytes()
    assert main(["report", "run"]) == 0 and Path("run/report.html").read_bytes() == before


def test_the_page_shows_errors_in_their_unit_and_what_is_told(chicago):
    page = write_report(chicago).read_text(encoding="utf-8")
    assert "Verdict: it helped" in page or "Verdict: cannot tell" in page
    assert "What the models tell of the target" in page and "labels given" in page
    value = next(r["value"] for r in chicago.read()["results"] if r["on"]["role"] == "test")
    assert f"{value:.4g} °C" in page and f"{value * 100:.1f} %" not in page


def test_a_damaged_figure_leaves_the_page_without_it(chicago, tmp_path):
    kept = (chicago.figures / "numbers.json").read_bytes()
    for damage in ("[]", '{"told": 3}', '{"told": {}, "row": 2}', "no json"):
        (chicago.figures / "numbers.json").write_text(damage)
        assert "What the models tell of the target" not in write_report(chicago).read_text(encoding="utf-8")
    (chicago.figures / "numbers.json").write_bytes(kept)


class _KilledError(BaseException):
    pass


def test_killed_after_any_step_and_resumed_it_ends_with_the_same_bytes(monkeypatch):
    request = Request(*WEATHER, test=TEST, target_labels="6")
    shared = {"net": "mlp", "epochs": 2, "precision": "float32"}
    whole = adapt.run(request, BiasedRegularisation(**shared), out="whole")
    save, count = Checkpoint.save_end, 0
    monkeypatch.setattr(Checkpoint, "save_end", lambda *arguments: (_count(), save(*arguments), _die())[1])
    at = [0, 0]

    def _count():
        nonlocal count
        count += 1

    def _die():
        if count == at[0]:
            raise _KilledError

    for at[0] in (1, 2, 4, 6, 8, 10):
        count = 0
        with pytest.raises(_KilledError):
            adapt.run(request, BiasedRegularisation(**shared), out=f"killed-{at[0]}")
        count = -100
        resumed = adapt.resume(juyi.runs.RunFolder(Path(f"killed-{at[0]}")), methods=METHODS)
        for part in ("predictions.csv", *(f"models/{m}.safetensors" for m in ("target_only", "biased_regularisation"))):
            assert (resumed.path / part).read_bytes() == (whole.path / part).read_bytes(), (at[0], part)
        assert resumed.read()["notes"] == whole.read()["notes"] and resumed.read()["verdict"] == whole.read()["verdict"]


def test_labels_of_a_target_that_has_none_come_from_a_file_as_numbers():
    (x, y), (x_target, y_target) = numbers(), numbers(seed=2)
    table("source.csv", x, y)
    table("target.csv", x_target)
    table("test.csv", *numbers(seed=3))
    Path("few.csv").write_text("name,label\n" + "".join(f"{i},{y_target[i]:.0f}\n" for i in range(8)))
    request = Request("source.csv", "target.csv", test="test.csv", target_labels="few.csv")
    record = adapt.run(request, BiasedRegularisation(), out="run").read()
    assert record["target_labels"]["given"] == 8 and record["verdict"]["name"] == "mean_absolute_error"


def test_whole_numbers_beside_others_are_numbers_and_it_is_said():
    (x, y), (x_target, y_target) = numbers(), numbers(seed=2)
    table("source.csv", x, y)
    table("target.csv", x_target, y_target, decimals=0)
    record = adapt.run(Request("source.csv", "target.csv", target_labels="5"), TargetOnly(), out="run").read()
    assert any("whole numbers, which are values and no classes" in note for note in record["notes"])


@pytest.mark.parametrize(
    ("changes", "method", "kind", "words"),
    [
        (
            {},
            DANN(),
            DataError,
            r"source\.csv: its labels are continuous numbers, but DANN tells classes; .*BiasedRegularisation",
        ),
        ({"unknown": True}, SourceOnly(), SettingError, "--unknown: is for classes that the source lacks"),
        ({}, SourceOnly(net="lenet5"), SettingError, "use mlp or linear"),
        (
            {"target": "words.csv", "target_labels": "2"},
            SourceOnly(),
            DataError,
            "has numbers as labels and words.csv has classes",
        ),
        ({"test": "words.csv"}, SourceOnly(), DataError, "has numbers as labels and words.csv has classes"),
        ({"source": "words.csv"}, SourceOnly(), DataError, "has numbers as labels and words.csv has classes"),
        ({"source": "same.csv"}, SourceOnly(), DataError, "all labelled rows have the number 2.5, so there is nothing"),
        ({"target_labels": "1"}, TargetOnly(), DataError, "TargetOnly needs 2 labels of the target at least, not 1"),
        ({}, TargetOnly(), DataError, "needs some labels of the target, and none is given"),
        ({"test": "bare.csv"}, SourceOnly(), DataError, "has no labels, so nothing can be scored on it"),
        ({"target": "infinite.csv"}, SourceOnly(), DataError, r"infinite\.csv, line 3: column label holds inf"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(changes, method, kind, words):
    x, y = numbers()
    for name in ("source.csv", "target.csv", "test.csv"):
        table(name, x, y)
    table("bare.csv", x)
    table("same.csv", x, np.full(len(x), 2.5))
    lines = Path("source.csv").read_text().splitlines()
    Path("words.csv").write_text("\n".join([lines[0], *(line.rpartition(",")[0] + ",dog" for line in lines[1:61]),
                                            *(line.rpartition(",")[0] + ",cat" for line in lines[61:])]))  # fmt: skip
    Path("infinite.csv").write_text("\n".join([*lines[:2], lines[2].rpartition(",")[0] + ",inf", *lines[3:]]))
    request = Request(**{"source": "source.csv", "target": "target.csv", "test": "test.csv", **changes})
    with pytest.raises(kind, match=words) as refusal:
        adapt.run(request, method, out="run")
    assert "\n" not in str(refusal.value) and not Path("run").exists()


def test_one_constant_feature_hinders_nobody():
    x, y = numbers()
    x[:, 2] = 3.0
    target = juyi.withhold_labels(Domain(x, y, name="here"), 6)
    for method in (SourceOnly(), TargetOnly(), BiasedRegularisation()):
        assert method.fit(Domain(x, y, name="there"), target=target).score(Domain(x, y)) > 0.5


def test_what_is_for_classes_refuses_a_run_of_numbers_in_one_line(chicago, capsys):
    calls = [
        (["adapt", str(chicago.path), "--online", TEST], "following a stream is for classes"),
        (["predict", str(chicago.path), TEST, "--unknown"], "tells numbers"),
        (["adapt", str(chicago.path), TEST, "--method", "shot"], "tells classes, but the model that it is given tells"),
        (["settle", str(chicago.path)], "numbers"),
    ]
    for words, said in calls:
        assert main([*words]) == 2
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1, error
    with pytest.raises(RunFolderError, match="a comparison of runs is for classes"):
        compare([chicago, chicago.path / ".." / "run2"])


def test_classes_with_few_labels_have_the_same_three_models():
    for name, seed in (("source", 0), ("target", 1), ("test", 2)):
        y = np.arange(90) % 3
        x = np.random.default_rng(seed).normal(size=(90, 4)) + 3 * y[:, None]
        np.savez(f"{name}.npz", x=x.astype(np.float32), y=y)
    request = Request("source.npz", "target.npz", test="test.npz", target_labels="2")
    method = BiasedRegularisation(epochs=2, precision="float32")
    record = adapt.run(request, method, out="run").read()
    test = {r["model"]: r for r in record["results"] if r["on"]["role"] == "test"}
    assert list(test) == ["source_only", "target_only", "biased_regularisation"]
    assert [r["saw_target_labels"] for r in test.values()] == [False, True, True]
    assert all(r["name"] == "accuracy" for r in test.values()) and "target_only" in record["verdict"]["sentence"]
    gain = test["biased_regularisation"]["value"] - test["target_only"]["value"]
    assert record["verdict"]["gain"] == pytest.approx(gain)


def test_labels_that_settle_such_a_run_are_held_against_the_labels_alone():
    for name, seed in (("source", 0), ("target", 1)):
        y = np.arange(90) % 3
        x = np.random.default_rng(seed).normal(size=(90, 4)) + (y if name == "source" else 2 - y)[:, None]
        np.savez(f"{name}.npz", x=x.astype(np.float32), y=y)
    method = BiasedRegularisation(epochs=2, precision="float32", slope="1", penalty=1e6)
    run = adapt.run(Request("source.npz", "target.npz", target_labels="2"), method, out="run")
    drawn = draw(run, methods=METHODS)
    assert (drawn.model, drawn.floor) == ("biased_regularisation", "target_only")
    lines = {line["name"]: line for line in csv.DictReader(run.predictions.read_text().splitlines())}
    assert [lines[name]["target_only"] for name in drawn.names] == drawn.says_floor.tolist()
    assert all(one != other for one, other in zip(drawn.says, drawn.says_floor, strict=True))

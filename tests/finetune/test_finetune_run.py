"""A whole fine-tuning: what its folder holds, what is compared, that it goes on, what is refused."""

import json

import numpy as np
import pytest
import torch

import juyi
from juyi import finetune, pretrain
from juyi.check.common import same
from juyi.data import Domain
from juyi.errors import DataError, SettingError
from juyi.finetune import KNN, LPFT, Auto, FixMatch, Full, Gradual, Linear, LoRA, NearestCentroid, Request
from juyi.finetune.base import blocks_of
from juyi.finetune.lora import LowRank
from juyi.finetune.run import untrained
from juyi.measure.linear import STRENGTHS, cross_validated_strength, fit_linear
from juyi.nets.heads import NeighbourHead, is_head, make_head
from juyi.runs import RunFolder
from juyi.runs.files import read_tensors
from juyi.training import read_run, stage_run

QUICK = {"batch": 20, "precision": "float32", "device": "cpu", "epochs": 4}
FEW, TEST = "digits@train[:300]", "digits@test[:200]"


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A backbone, made once: its folder."""
    place = tmp_path_factory.mktemp("backbone") / "run"
    method = pretrain.ISIF(net="cnn_small-0.25", batch=50, precision="float32", device="cpu", epochs=4)
    return str(pretrain.run(pretrain.Request("digits@train"), method, out=place).path)


def go(backbone, out, method=None, **more):
    request = Request(backbone, FEW, **{"labels_per_class": 5, "test": TEST, **more})
    return finetune.run(request, method or Linear(**QUICK), out=out)


@pytest.fixture(scope="module")
def whole(backbone, tmp_path_factory):
    return go(backbone, tmp_path_factory.mktemp("whole") / "run", curve="2,8")


def test_a_run_holds_the_classifier_and_what_it_was_compared_with(whole):
    record = whole.read()
    assert (record["room"], record["serves"], record["status"]) == ("finetune", "linear", "finished")
    assert record["data"]["few"]["labelled"] == 50 and record["network"]["frozen"]
    assert [r["model"] for r in record["results"]] == ["from_scratch", "untrained_backbone", "linear"]
    for result in record["results"]:
        assert 0 <= result["low"] <= result["value"] <= result["high"] <= 1
    assert "ransferring" in record["verdict"]["sentence"] and len(record["openings"]) == 1
    points = json.loads((whole.figures / "labels.json").read_text())["points"]
    models = {"from_scratch", "untrained_backbone", "lp_ft", "linear"}
    assert {(p["labels"], p["model"]) for p in points} == {(n, m) for n in (2, 8) for m in models}
    assert sorted(path.stem for path in whole.models.glob("*.json")) == ["from_scratch", "linear"]
    from juyi.report import write_report

    page = write_report(whole).read_text()
    assert "How many labels does it take" in page and "from these labels alone" in page


def test_the_backbone_is_frozen_to_the_bit(whole, backbone):
    mine, theirs = read_run(whole).net.body.state_dict(), read_run(backbone).net.body.state_dict()
    assert same(mine, theirs)


def test_the_classifier_is_better_than_without_the_backbone(whole):
    value = {r["model"]: r["value"] for r in whole.read()["results"]}
    assert value["linear"] > value["untrained_backbone"]


def test_it_predicts_and_can_be_exported(whole, tmp_path):
    served = read_run(whole)
    rows = juyi.load(TEST)
    assert set(served.predict(rows)) <= set(rows.classes)
    from juyi.portable import OnnxModel, write_onnx

    for name, head in (("linear", None), ("knn", KNN(**QUICK)), ("lora", LoRA(**QUICK))):
        if head is not None:
            few = juyi.withhold_labels(juyi.load(FEW), 3, 0)
            served = head.set_params(backbone=served).fit(few)._served()
        file = OnnxModel(write_onnx(served, tmp_path / f"{name}.onnx"))
        assert (file.scores(rows.x).argmax(1) == served.scores(rows).argmax(1)).all()


def test_a_run_that_was_killed_goes_on_to_the_same_bits(backbone, tmp_path, monkeypatch):
    method = {"method": Auto(candidates="nearest_centroid,lp_ft", folds=2, **QUICK)}
    whole = go(backbone, tmp_path / "whole", **method)
    for stop in (1, 9, 14):
        steps, real = iter(range(10**6)), stage_run._take_turn

        def take_turn(*arguments, steps=steps, stop=stop, real=real):
            if next(steps) == stop:
                raise KeyboardInterrupt
            real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(stage_run, "_take_turn", take_turn)
            with pytest.raises(KeyboardInterrupt):
                go(backbone, tmp_path / str(stop), Auto(candidates="nearest_centroid,lp_ft", folds=2, **QUICK))
        folder = finetune.resume(RunFolder.open(tmp_path / str(stop)), methods=finetune.METHODS)
        one, two = (read_tensors(f.models / "auto.safetensors")[0] for f in (whole, folder))
        assert same(one, two)
        for key in ("results", "compared"):
            assert folder.read()[key] == whole.read()[key]


def test_auto_takes_the_best_by_cross_validation_and_says_so(backbone, tmp_path):
    record = go(backbone, tmp_path / "run", Auto(candidates="nearest_centroid,linear", **QUICK), test=None).read()
    found = record["compared"]
    best = max(found["candidates"].values(), key=lambda one: one["value"])
    assert found["candidates"][found["chosen"]] == best and best["n"] == 50
    assert "by cross-validation" in record["verdict"]["sentence"]
    read = read_run(tmp_path / "run")
    assert read.predict(juyi.load(TEST)).shape == (200,)


def test_rows_of_the_few_that_lost_their_label_are_the_unlabelled_ones(backbone, tmp_path):
    record = go(backbone, tmp_path / "run", FixMatch(**QUICK), beside=False).read()
    assert record["data"]["few"]["labelled"] == 50
    assert record["data"]["unlabelled"] == {**record["data"]["unlabelled"], "rows": 300, "labelled": 0}


def test_the_untrained_network_is_another_and_the_same_for_a_seed(backbone):
    served = read_run(backbone)
    one, again, other = (untrained(served, seed).net.body.state_dict() for seed in (1, 1, 2))
    assert same(one, again) and not same(one, other) and not same(one, served.net.body.state_dict())
    for name, value in one.items():
        if name.endswith("running_mean"):
            assert not value.any()  # statistics are forgotten too


def test_a_network_that_nothing_trains_has_no_run_from_scratch(tmp_path):
    method = pretrain.Patches(maps=20, patches=2_000, batch=50)
    made = pretrain.run(pretrain.Request("digits@train"), method, out=tmp_path / "patches")
    record = go(str(made.path), tmp_path / "run").read()
    assert [r["model"] for r in record["results"]] == ["linear"]


def test_centroids_equal_the_distances_written_out(backbone):
    few, rows = juyi.withhold_labels(juyi.load(FEW), 5, 0), juyi.load(TEST)
    few = few.select(few.labelled)
    fitted = NearestCentroid(backbone=read_run(backbone), **QUICK).fit(few)
    known, asked = fitted.transform(few).astype(float), fitted.transform(rows).astype(float)
    spread = np.maximum(known.std(0), 1e-6)
    means = np.stack([(known / spread)[few.y == code].mean(0) for code in range(10)])
    distance = ((asked / spread)[:, None] - means[None]).__pow__(2).sum(2)
    assert (distance.argmin(1) == fitted.scores(rows).argmax(1)).mean() > 0.99


def test_neighbours_that_are_remembered_vote():
    head = NeighbourHead(2, 3, rows=3, k=2, temperature=0.5)
    head.remember(torch.tensor([[1.0, 0.0], [0.0, 4.0], [-1.0, 0.0]]), torch.tensor([2, 0, 1]))
    found = head(torch.tensor([[3.0, 3.0]])).exp()
    assert torch.allclose(found, torch.tensor([[0.5, 0.0, 0.5]]), atol=1e-4)


def test_a_change_of_low_rank_is_none_at_first_and_of_that_rank_later():
    layer = torch.nn.Conv2d(3, 8, 3)
    change = LowRank(layer.weight, rank=2, scale=0.5)
    assert torch.equal(change(layer.weight), layer.weight)
    with torch.no_grad():
        change.up.normal_()
    moved = (change(layer.weight) - layer.weight).flatten(1)
    assert torch.linalg.matrix_rank(moved) == 2


def test_lora_leaves_a_plain_network_whose_norms_kept_their_statistics(backbone):
    served = read_run(backbone)
    few = juyi.withhold_labels(juyi.load(FEW), 5, 0)
    fitted = LoRA(backbone=served, **QUICK).fit(few)
    before, after = served.net.body.state_dict(), fitted.net_.body.state_dict()
    assert before.keys() == after.keys()
    statistics = [name for name in before if "running" in name]
    assert statistics and all(torch.equal(before[name], after[name]) for name in statistics)
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_gradual_frees_from_the_head_inwards_each_part_slower(backbone):
    served = read_run(backbone)
    method = Gradual(backbone=served, most_stages=3, **QUICK)
    few = juyi.withhold_labels(juyi.load(FEW), 5, 0)
    few = few.select(few.labelled)
    net = method.with_head(served, few)
    stages = list(method.stages(net, juyi.training.Rows(few, torch.device("cpu")), None))
    blocks = [net.head, *reversed(blocks_of(net.body))]
    assert [len(stage.turns[0].trains) for stage in stages] == [1, 1 + round((len(blocks) - 1) / 2), len(blocks)]
    assert all(one is other for one, other in zip(stages[-1].turns[0].trains, blocks, strict=True))
    rates = [one.learning_rate for one in stages[-1].turns[0].optimisers]
    assert np.allclose(np.divide(rates[:-1], rates[1:]), 2.6)
    assert sum(stage.epochs for stage in stages) == 4


def test_the_strength_is_that_which_foretells_best():
    random = np.random.default_rng(0)
    y = np.arange(60) % 2
    clean = np.stack([10.0 * y, random.normal(size=60)], 1) + random.normal(scale=0.1, size=(60, 2))
    noise = random.normal(size=(60, 30))
    assert cross_validated_strength(clean, y) < cross_validated_strength(noise, y) == STRENGTHS[-1]
    assert cross_validated_strength(clean[:2], y[:2]) == 1.0
    loose, tight = (np.abs(fit_linear(clean, y, 2, strength=s)[:-1]).sum() for s in (1e-3, 1e3))
    assert loose > 10 * tight


@pytest.mark.parametrize("name", ["own", "none", "cosine", "linear", "mlp-7", "neighbours-9-2"])
def test_heads_are_made_by_name(name):
    assert is_head(name)
    made = make_head(name, 4, 3)
    if made is not None:
        assert made.eval()(torch.randn(5, 4)).shape == (5, 4 if name == "none" else 3)


@pytest.mark.parametrize(
    ("backbone_name", "more", "method", "error", "words"),
    [
        (None, {"labels_per_class": 1}, Auto(**QUICK), DataError, "needs two of each"),
        (None, {"curve": "3,1000"}, None, SettingError, "1000 is no number of labels a class"),
        (None, {"curve": "3", "test": None}, None, SettingError, "name labelled data with --test"),
        (None, {"few": "weather@auckland"}, None, DataError, "weather@auckland"),
        ("lenet5", {}, None, SettingError, "not trained by its name alone"),
        ("no_such_net", {}, None, SettingError, "there is no such backbone"),
        ("pixels", {}, None, SettingError, "is no network"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(backbone, backbone_name, more, method, error, words, tmp_path):
    request = {"backbone": backbone_name or backbone, "few": FEW, "labels_per_class": 5, "test": TEST, **more}
    if "few" in more:
        request["labels_per_class"] = None
    with pytest.raises(error, match=words):
        finetune.run(Request(**request), method or Linear(**QUICK), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(SettingError, match="did you mean linear"):
        Auto(candidates="liner").check_hyperparameters()
    with pytest.raises(SettingError, match="frees all parts"):
        Gradual(freeze="body").check_hyperparameters()


def test_a_frozen_part_stays_while_the_rest_is_tuned(backbone):
    served = read_run(backbone)
    few = juyi.withhold_labels(juyi.load(FEW), 5, 0)
    fitted = Full(backbone=served, freeze="body.0", **QUICK).fit(few)
    before, after = served.net.body.state_dict(), fitted.net_.body.state_dict()
    assert torch.equal(before["0.weight"], after["0.weight"]) and not torch.equal(before["4.weight"], after["4.weight"])


def test_arrays_keep_their_classes_as_whole_numbers(backbone):
    few = juyi.withhold_labels(juyi.load(FEW), 5, 0)
    few = few.select(few.labelled)
    fitted = LPFT(backbone=read_run(backbone), **QUICK).fit(few.x, few.y.tolist())
    assert fitted.predict(few.x).dtype.kind == "i"
    assert Domain(few.x, few.y, classes=few.classes, name="few").size == 50

"""A whole pretraining: what its folder holds, that it goes on, that labels to watch by reach no weight."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import juyi
from juyi import pretrain
from juyi.check.common import same
from juyi.data import Domain
from juyi.errors import DataError, SettingError
from juyi.pretrain import ISIF, Patches, Request, watching
from juyi.pretrain import request as asked
from juyi.pretrain.run import embedded
from juyi.pretrain.watching import collapse
from juyi.runs import RunFolder
from juyi.runs.files import read_tensors
from juyi.training import Rows, read_run, stage_run

QUICK = {"net": "cnn_small-0.25", "batch": 50, "precision": "float32", "device": "cpu"}
IMAGES, WATCH, TEST = "digits@train[:200]", "digits@train[:300]", "digits@test"


def go(out, method=None, **more):
    request = Request(IMAGES, **{"watch": WATCH, "test": TEST, **more})
    return pretrain.run(request, method or ISIF(epochs=3, **QUICK), out=out)


@pytest.fixture(scope="module", autouse=True)
def looked_at_each_epoch():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "VIEWS_BETWEEN", 1)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return go(tmp_path_factory.mktemp("whole") / "run")


def test_a_run_holds_a_backbone_what_it_is_worth_and_pictures(whole):
    record = whole.read()
    assert (record["room"], record["serves"], record["status"]) == ("pretrain", "isif", "finished")
    assert record["data"]["images"]["labelled"] == 0 and record["data"]["watch"]["labelled"] == 300
    scored = [(r["model"], r["on"]["role"]) for r in record["results"]]
    assert scored == [("untrained", "test"), ("isif", "test"), ("isif_embedding", "test")]
    for result in record["results"]:
        assert 0 <= result["low"] <= result["value"] <= result["high"] <= 1
    assert "nearest of 300 labelled images" in record["verdict"]["sentence"] and len(record["openings"]) == 1
    assert set(record["representation"]) == {"untrained", "isif", "isif_embedding"}
    assert any("--look digits: crops of 50% to 100%" in note for note in record["notes"])
    epochs = json.loads((whole.figures / "pretraining.json").read_text())["epochs"]
    assert [one["epoch"] for one in epochs] == [1, 2, 3]
    assert all(0 <= one["neighbours"] <= 1 and one["rank_me"] >= 1 for one in epochs)
    for name, key, count in (("views", "views", 7), ("neighbours", "near", 8)):
        rows = json.loads((whole.figures / f"{name}.json").read_text())["rows"]
        assert rows and all(len(row[key]) == count for row in rows)
    found = json.loads((whole.figures / "feature_map.json").read_text())
    assert len(found["points"]) == len(found["label"]) == 300


def test_the_backbone_has_features_and_no_classes(whole):
    served = read_run(whole)
    images = juyi.load("digits@test[:20]")
    assert served.net.is_backbone and served.features(images).shape == (20, served.net.width)
    assert np.array_equal(served.features(images), served.scores(images))
    with pytest.raises(SettingError, match="juyi finetune"):
        served.predict(images)


def test_the_embeddings_are_scored_as_in_the_paper_and_the_backbone_stays():
    images = juyi.load("digits@train[:60]")
    method = ISIF(epochs=1, **QUICK | {"batch": 20}).fit(images)
    x = torch.from_numpy(images.x)
    before = method.net_.features(x)
    found = embedded(method.net_, method.embedding_).features(x)
    torch.testing.assert_close(found, method.embedding_(before))
    assert found.shape == (60, 128) and torch.equal(method.net_.features(x), before)


def test_its_weights_are_a_start_for_other_runs(whole, tmp_path):
    net, weights = whole.read()["network"]["name"], str(whole.models / "isif.safetensors")
    method = juyi.adapt.SourceOnly(net=net, batch_norm="shared", weights=weights, freeze="body", epochs=1)
    fitted = method.fit(juyi.load("digits@train[:100]"))
    body = read_run(whole).net.body.state_dict()
    assert same(body, fitted.net_.body.state_dict())


def test_labels_to_watch_by_reach_no_weight(whole, tmp_path, monkeypatch):
    real = asked.load

    def poisoned(name, **options):
        domain = real(name, **options)
        if name not in (WATCH, TEST):
            return domain
        return dataclasses.replace(domain, y=np.random.default_rng(0).permutation(domain.y))

    monkeypatch.setattr(asked, "load", poisoned)
    other = go(tmp_path / "poisoned")
    one, two = (read_tensors(folder.models / "isif.safetensors")[0] for folder in (whole, other))
    assert same(one, two)
    assert other.read()["results"] != whole.read()["results"]


def test_without_labels_nothing_is_claimed(tmp_path):
    record = go(tmp_path / "run", watch=None, test=None).read()
    assert record["results"] == [] and record["verdict"]["answer"] is None
    assert "what they are worth labels tell" in record["verdict"]["sentence"]
    assert "label" not in json.loads((tmp_path / "run" / "figures" / "feature_map.json").read_text())


def test_a_run_that_was_killed_goes_on_to_the_same_bits(whole, tmp_path, monkeypatch):
    for stop in (2, 6, 11):
        steps, real = iter(range(10**6)), stage_run._take_turn

        def take_turn(*arguments, steps=steps, stop=stop, real=real):
            if next(steps) == stop:
                raise KeyboardInterrupt
            real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(stage_run, "_take_turn", take_turn)
            with pytest.raises(KeyboardInterrupt):
                go(tmp_path / str(stop))
        folder = pretrain.resume(RunFolder.open(tmp_path / str(stop)), methods=pretrain.METHODS)
        one, two = (read_tensors(f.models / "isif.safetensors")[0] for f in (whole, folder))
        assert same(one, two)
        assert folder.read()["results"] == whole.read()["results"]
        assert (folder.figures / "pretraining.json").read_text() == (whole.figures / "pretraining.json").read_text()


def test_patches_equal_the_sum_written_out():
    images = juyi.load("digits@train[:60]")
    fitted = Patches(maps=5, patches=500, batch=20).fit(images)
    body = fitted.net_.body
    x = fitted.net_.standardise(torch.from_numpy(images.x[:2]))
    for row, picture in enumerate(x):
        found = np.zeros((5, 23, 23))
        for top in range(23):
            for left in range(23):
                p = picture[:, top : top + 6, left : left + 6].flatten().double().numpy()
                p = (p - p.mean()) / np.sqrt(p.var() + body.floor)
                p = body.whitening.double().numpy() @ (p - body.mean.double().numpy())
                z = np.linalg.norm(p - body.centres.double().numpy(), axis=1)
                found[:, top, left] = np.maximum(0, z.mean() - z)
        quarters = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(found), 2).flatten().numpy()
        assert np.allclose(fitted.transform(images.select([row]))[0], quarters, atol=2e-3)


def test_whitened_patches_have_no_direction_that_stands_out():
    images = juyi.load("digits@train[:200]")
    method = Patches(maps=5, patches=5_000, damping=1e-6, batch=20)
    fitted = method.fit(images)
    body = fitted.net_.body
    drawn = body.whitened(body.normalised(method._draw(fitted.net_, Rows(images, torch.device("cpu")), body.side)))
    values = torch.linalg.eigvalsh(torch.cov(drawn.double().T))
    assert values[5:].min() > 0.8 and values.max() < 1.2  # a mean of 0 takes one direction; constant pixels some


def test_more_views_are_the_mean_over_every_two():
    two, four = (ISIF(epochs=1, views=views, **QUICK).fit(juyi.load(IMAGES)) for views in (2, 4))
    assert not same(two.net_.state_dict(), four.net_.state_dict())


def test_few_images_are_not_looked_at_after_every_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "VIEWS_BETWEEN", 900)  # 200 images in two views: after every third epoch
    folder = go(tmp_path / "run", ISIF(epochs=5, **QUICK), watch=None, test=None)
    epochs = json.loads((folder.figures / "pretraining.json").read_text())["epochs"]
    assert [one["epoch"] for one in epochs] == [3, 5]


def test_collapse_is_said():
    assert collapse({"rank_me": 1.1, "uniformity": -0.01}, 32)
    assert not collapse({"rank_me": 9.0, "uniformity": -1.0}, 32)


@pytest.mark.parametrize(
    ("images", "more", "error", "words"),
    [
        (IMAGES, {"test": TEST, "watch": None}, SettingError, "name some with --watch"),
        ("digits@train[:20]", {}, DataError, "fewer than a batch of 50"),
        ("weather@auckland", {}, DataError, "pretraining needs images"),
        (IMAGES, {"watch": "no_such_data"}, DataError, "no_such_data"),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(images, more, error, words, tmp_path):
    request = Request(images, **{"watch": WATCH, **more})
    with pytest.raises(error, match=words):
        pretrain.run(request, ISIF(epochs=1, **QUICK), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_images_too_small_for_the_network_are_refused():
    small = Domain(np.random.default_rng(0).integers(0, 255, (80, 1, 6, 6)).astype(np.uint8), name="small")
    with pytest.raises(SettingError, match="lenet"):
        ISIF(net="lenet", batch=20).fit(small)
    with pytest.raises(SettingError, match="patches"):
        Patches(maps=4, patches=200, batch=20).fit(small)
    with pytest.raises(SettingError, match="leave it out"):
        Patches(net="lenet", maps=4, batch=20).fit(juyi.load(IMAGES))

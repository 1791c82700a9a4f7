"""The whole question on data whose answer is known: alike, apart, other rules, nothing to go by."""

import numpy as np
import pytest

from juyi import similarity
from juyi.adapt import Request, SourceOnly, run
from juyi.data import as_domain, load
from juyi.errors import DataError, SettingError
from juyi.similarity import Settings, measure

UNITS = ("distance", "feature", "classifier", "bound", "class_share")


def by_name(found, group):
    return {one.name: one for one in found.of(group)}


def test_halves_of_one_set_are_alike(side):
    whole = side(400)
    found = measure(whole.select(np.arange(200)), whole.select(np.arange(200, 400)), settings=Settings("0"))
    assert found.answer == "alike" and found.sentence.startswith("Nothing tells the two apart")
    assert "A distance is no verdict on transferring" in found.sentence
    assert found.warnings == ()
    assert list(dict.fromkeys(group for group, _ in found.results)) == list(UNITS)
    assert all(one.p_value > 0.05 for one in found.of("feature"))


def test_sides_far_apart_are_said_to_be_and_the_column_is_named(side):
    found = measure(side(), side(seed=1, shift=8.0), settings=Settings("0"))
    apart = by_name(found, "distance")["proxy_a_distance"]
    assert found.answer == "far" and apart.value > 1.95 and apart.high == 2
    assert found.of("feature")[0].name == "feature_tests[column 3]" and found.of("feature")[0].p_value < 1e-9
    assert found.figures["medians"]["column 3"][1] - found.figures["medians"]["column 3"][0] == pytest.approx(8, abs=1)


def test_the_same_question_has_the_same_answer_to_the_bit(side):
    first, second = (measure(side(), side(seed=1, shift=1.0), settings=Settings("0", seed=3)) for _ in range(2))
    assert first.results == second.results and first.figures == second.figures


def test_withheld_labels_change_nothing(side):
    here = side(seed=1, shift=1.0)
    turned = as_domain(here.x, 1 - here.y, classes=here.classes, name=here.name)
    first, second = (measure(side(), one, settings=Settings("0")) for one in (here, turned))
    assert first.results == second.results and first.figures == second.figures and first.warnings == second.warnings


def test_other_shares_alone_are_seen_as_such(side):
    found = measure(side(700, share=0.5), side(700, seed=1, share=0.1), settings=Settings("0"))
    shares = by_name(found, "class_share")
    assert shares["mlls[yes]"].low < 0.1 < shares["mlls[yes]"].high
    assert any("The target seems to have other shares of the classes" in line for line in found.warnings)
    assert not any("deny" in line for line in found.warnings)


def test_what_other_shares_cannot_explain_is_said(side):
    found = measure(side(), side(seed=1, shift=8.0), settings=Settings("0"))
    assert any("within a class, too, the two look different" in line for line in found.warnings)


def test_given_labels_show_that_the_rule_is_another_one(side):
    there, here = side(), side(seed=1)
    turned = as_domain(here.x, 1 - here.y, classes=here.classes, name="here")
    found = measure(there, turned)
    assert found.answer == "alike"  # they look alike, and obey opposite rules
    assert by_name(found, "classifier")["accuracy_target"].value < 0.2
    assert any("the two obey different rules" in line for line in found.warnings)
    assert "λ" in by_name(found, "bound")["ben_david_bound"].note
    assert "left out" not in by_name(found, "bound")["ben_david_bound"].note
    assert set(by_name(found, "transferability")) == {"log_me", "h_score", "gbc", "trans_rate", "leep", "nce"}


def test_a_bound_holds_where_the_target_is_known(side):
    there, here = side(900), side(900, seed=1, shift=0.3)
    found = measure(there, here)
    truth = by_name(found, "classifier")["accuracy_target"].value
    assert by_name(found, "bound")["dis2_bound"].value <= truth
    assert all(one.value >= 1 - truth for name, one in by_name(found, "bound").items() if name != "dis2_bound")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (lambda draw: draw(labels=False), "side has no labels"),
        (lambda draw: draw(share=0.0), "all labelled rows of side are of one class, no"),
        (lambda draw: as_domain(draw().x, np.linspace(0, 1, 200), name="side"), "are numbers and no classes"),
        (lambda draw: as_domain(draw(2).x, [0, 1], name="side"), "has a single labelled row of each class"),
    ],
)
def test_what_cannot_be_known_is_said_to_be_unknown(side, source, why):
    found = measure(source(side), side(seed=1, labels=False))
    assert all(one.value is None and why in one.note for one in found.of("bound")) and len(found.of("bound")) == 4
    assert any(why.lower() in line.lower() and "unknown" in line for line in found.warnings)
    assert found.of("class_share") == [] and len(found.of("distance")) == 7


def test_classes_that_the_source_lacks_leave_the_bounds_unknown(side):
    here = as_domain(side(seed=1).x, np.arange(200) % 3, classes=("no", "yes", "perhaps"), name="here")
    found = measure(side(), here)
    assert all(one.value is None for one in found.of("bound"))
    assert by_name(found, "transferability")["leep"].value is not None  # it needs no common classes
    assert "accuracy_target" not in by_name(found, "classifier")


def test_nothing_but_noise_and_few_rows_is_no_difference(side):
    found = measure(side(12), side(12, seed=1), settings=Settings("0"))
    assert found.answer == "alike" and any("has 12 rows only" in line for line in found.warnings)
    two = measure(np.eye(3)[:2], np.eye(3)[1:])
    assert two.answer in ("alike", "unknown")


def test_nan_is_refused_with_its_place():
    bad = np.ones((30, 2))
    bad[4, 1] = np.nan
    with pytest.raises(DataError, match="row 4, column 1"):
        measure(np.random.default_rng(0).normal(size=(30, 2)), bad)


def test_images_of_digits_and_their_pictures():
    source, target = load("digits@train[:200]"), load("digits_m@train[:200]")
    found = measure(source, target, settings=Settings("0"))
    assert found.answer == "far" and found.backbone == "pixels"
    assert found.of("feature")[0].name == "feature_tests[saturation]"  # plain digits have no colour at all
    groups = found.figures["typical"]["groups"]
    assert [(g["side"], g["most"], len(g["rows"])) for g in groups] == [
        ("source", True, 8), ("source", False, 8), ("target", True, 8), ("target", False, 8)
    ]  # fmt: skip
    probabilities = [[row["probability"] for row in g["rows"]] for g in groups]
    assert max(probabilities[0]) <= min(probabilities[1]) and min(probabilities[2]) >= max(probabilities[3])
    assert len(found.figures["map"]["maps"][0]["target"]) == 200
    assert found.as_json()["results"][0]["group"] == "distance"


def test_rows_of_tables_come_with_their_reasons(side):
    found = measure(side(), side(seed=1, shift=6.0), settings=Settings("0"))
    assert found.figures["typical"]["kind"] == "rows"
    most = found.figures["typical"]["groups"][2]["rows"]
    assert all(row["because"][0][0] == "column 3" for row in most)
    assert sum(found.figures["overlap"]["source"]) == pytest.approx(1, abs=1e-4)


def test_sources_are_ranked_by_distance_and_by_what_they_say(side):
    near, far = side(seed=2, shift=0.2, name="near"), side(seed=3, shift=9.0, name="far")
    here = side(seed=1, name="here")
    found = measure(far, here, candidates=[near], settings=Settings("0"))
    assert found.ranking.kind == "sources" and found.ranking.by == "proxy_a_distance"
    assert [name for name, _ in found.ranking.rows] == ["near", "far"] and found.ranking.tied == (False, False)
    assert found.ranking.sentence.startswith("The best source is near")
    turned = as_domain(near.x, 1 - near.y, classes=near.classes, name="turned")
    assert {one.name for one in measure(far, here, candidates=[near]).ranking.rows[0][1]} >= {"leep", "nce"}
    by = measure(turned, here, candidates=[near], rank_by="mmd").ranking
    assert by.by == "mmd" and by.tied == (True, True) and "Cannot tell which source is best" in by.sentence


def test_candidates_that_make_no_sense_are_refused(side):
    here = side(seed=1)
    for candidates, words in (
        (["pixels"], "pixels is named twice"),
        (["digits@test", "digits@test"], "digits@test is named twice"),
        (["hub/someone/net", "digits@test"], "hub/someone/net is a backbone and digits@test names data"),
    ):
        with pytest.raises(SettingError, match=words):
            measure(side(), here, candidates=candidates)
    with pytest.raises(SettingError, match="--rank-by mmd: there is nothing to rank"):
        measure(side(), here, rank_by="mmd")
    for score, words in (("leep", "needs labels of the target"), ("leap", "did you mean leep|known are")):
        with pytest.raises(SettingError, match=words):
            measure(side(), here, candidates=[side(seed=2)], rank_by=score, settings=Settings("0"))
    with pytest.raises(SettingError, match="is the same for all sources"):
        measure(side(), here, candidates=[side(seed=2)], rank_by="log_me")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run on 200 digits."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("made")
        patch.chdir(folder)
        patch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
        method = SourceOnly(net="lenet5_half", epochs=2, batch=16, precision="float32")
        run(Request("digits@train[:200]"), method, out=folder / "run")
    return folder / "run"


def test_a_run_is_a_backbone_and_its_network_the_classifier(made):
    found = measure("digits@train[:200]", "digits_m@test[:150]", backbone=str(made), candidates=["pixels"])
    assert found.backbone == str(made)
    assert any("judged on 20 source rows that it was not trained on" in note for note in found.notes)
    assert by_name(found, "classifier")["accuracy_source"].n_source == 20
    assert found.ranking.kind == "backbones" and {name for name, _ in found.ranking.rows} == {str(made), "pixels"}
    named = measure("digits@train[:200]", "digits_m@test[:150]", backbone=f"{made}/models/source_only")
    assert by_name(named, "distance")["mmd"] == by_name(found, "distance")["mmd"]


def test_of_other_rows_nobody_knows_whether_the_run_learnt_from_them(made):
    found = measure("digits@train[:150]", "digits_m@test[:150]", backbone=str(made))
    assert any("may have learnt from rows of digits@train[:150]" in line for line in found.warnings)


def test_backbones_that_are_none_are_refused(made):
    for backbone, weights, words in (
        ("pixel", None, "there is no such backbone; did you mean pixels"),
        ("lenet", None, "is not trained by its name alone; give its --weights"),
        ("lenet", "nowhere.safetensors", "--weights nowhere.safetensors: there is no such file"),
        ("pixels", "some.safetensors", "pixels have no weights"),
        (str(made), "some.safetensors", "has its weights"),
        (f"{made}/models/dan", None, "the run has no model called dan"),
    ):
        with pytest.raises(SettingError, match=words):
            measure("digits@train[:60]", "digits@test[:60]", backbone=backbone, weights=weights)


def test_weights_of_a_named_network(made):
    weights = str(made / "models" / "source_only.safetensors")
    found = measure("digits@train[:60]", "digits_m@test[:60]", backbone="lenet5_half", weights=weights)
    assert found.backbone == "lenet5_half" and len(found.of("distance")) == 7


def test_the_room_says_what_it_has():
    assert similarity.measure is measure and set(similarity.__all__) <= set(dir(similarity))

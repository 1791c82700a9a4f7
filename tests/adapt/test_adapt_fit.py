"""`fit` and what follows it, given what it cannot use: one sentence, and the estimator is as it was."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import juyi
from juyi.adapt import ADDA, DANN, METHODS, SourceOnly
from juyi.errors import ClassesDifferError, DataError, JuyiError, SettingError, TrainingDivergedError

QUICK = {"epochs": 1, "batch": 16, "precision": "float32", "net": "mlp"}


def data(n=40, seed=0, classes=2, width=3):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return (rng.normal(size=(n, width)) + 3 * y[:, None]).astype(np.float32), y


X, Y = data()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"X": X}, ["source: has no labels"]),
        ({"X": X, "y": Y[:-1]}, ["y has shape (39,), but X has 40 rows"]),
        ({"X": X, "y": np.eye(2)[Y]}, ["one label a row (no one-hot codes)"]),
        ({"X": X, "y": np.zeros(40, int)}, ["all labelled rows are of one class, 0"]),
        ({"X": X, "y": [None] * 40}, ["source: has no labels"]),
        ({"X": X, "y": [*"ab" * 19, 3, 4]}, ["y mixes 'a' (row 0) and 3 (row 38)"]),
        ({"X": np.where(X[3, 1] == X, np.nan, X), "y": Y}, ["row 3, column 1 is nan"]),
        ({"X": X[:10], "y": Y[:10]}, ["has 10 rows, fewer than a batch of 16"]),
        ({"X": X[0], "y": Y}, ["X has shape (3,)"]),
        ({"X": X[:0], "y": Y[:0]}, ["not a single example"]),
        ({"X": "digits@train", "y": Y}, ["no dense array"]),
        ({"X": juyi.data.as_domain(X, Y), "y": Y}, ["is a Domain, which holds its labels itself"]),
        ({"X": X, "y": Y, "target": X[:, :2]}, ["source has 3 features and target 2"]),
        ({"X": X, "y": Y, "target": X[:10]}, ["target: has 10 rows, fewer than a batch of 16"]),
        ({"X": X, "y": Y, "target": np.full_like(X, np.inf)}, ["row 0, column 0 is inf"]),
        ({"X": X, "y": Y, "target": np.zeros((40, 3, 8, 8))}, ["source holds features and target images"]),
    ],
)
@pytest.mark.parametrize("method", [SourceOnly, DANN])
def test_what_fit_cannot_use(method, arguments, words):
    model = method(**QUICK)
    with pytest.raises(DataError) as refusal:
        model.fit(arguments["X"], arguments.get("y"), target=arguments.get("target", X))
    for word in words:
        assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_numbers_are_refused_by_a_method_that_tells_classes():
    with pytest.raises(
        DataError, match=r"its labels are continuous numbers, but DANN tells classes; bin them first.*SourceOnly"
    ):
        DANN(**QUICK).fit(X, np.linspace(0, 1.1, 40), target=X)


def test_domains_with_other_classes():
    source = juyi.data.as_domain(X, ["cat", "dog"] * 20, name="here")
    target = juyi.data.as_domain(X, ["cat", "Dog"] * 20, name="there")
    with pytest.raises(ClassesDifferError, match="'dog' and 'Dog' differ only in case"):
        DANN(**QUICK).fit(source, target=target)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("epochs", 0, "epochs: 0 is out of range"),
        ("batch", 16.5, "batch: must be a whole number"),
        ("epochs", 1.5, "epochs: must be a whole number"),
        ("epochs", "3", "epochs: must be a number"),
        ("epochs", True, "epochs: must be a number"),
        ("batch", 1, "batch: 1 is out of range"),
        ("learning_rate", float("nan"), "learning_rate: must be a number"),
        ("learning_rate", float("inf"), "learning_rate: inf is out of range"),
        ("optimiser", "sdg", "did you mean sgd?"),
        ("optimiser", None, "optimiser: must be one of sgd, adam"),
        ("random_state", -1, "random_state: -1 is out of range"),
        ("net", "mpl", "did you mean mlp?"),
        ("net", "lenet5", "is a network for images"),
    ],
)
def test_settings_are_checked_in_fit_and_not_before(setting, value, words):
    model = DANN(**{**QUICK, setting: value})
    with pytest.raises(SettingError) as refusal:
        model.fit(X, Y, target=X)
    assert words in str(refusal.value)


def test_a_setting_that_does_not_exist():
    with pytest.raises(TypeError, match="epoch"):
        DANN(epoch=3)


def test_a_network_that_gives_no_score_a_class():
    class Narrow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.width = torch.nn.Linear(3, 4), torch.nn.Linear(4, 1), 4

    source = juyi.data.as_domain(X, Y)
    with pytest.raises(SettingError):
        SourceOnly(**{**QUICK, "net": Narrow()}).check_network(source)
    with pytest.raises(SettingError, match="body, head and width"):
        SourceOnly(**{**QUICK, "net": torch.nn.ReLU()}).fit(X, Y)


def test_divergence_is_an_error_of_its_own():
    x, y = data(100)
    y = np.random.default_rng(0).permutation(y)
    model = SourceOnly(
        epochs=30, batch=16, precision="float32", learning_rate=10.0, optimiser="sgd", weight_decay=1.0
    )  # fmt: skip
    with pytest.raises(TrainingDivergedError, match="smaller --learning-rate"):
        model.fit(np.random.default_rng(0).normal(size=x.shape).astype(np.float32) * 1000, y)
    with pytest.raises(NotFittedError):
        model.predict(x)


@pytest.fixture(scope="module")
def fitted():
    return SourceOnly(**{**QUICK, "epochs": 30}).fit(X, Y, target=X)


@pytest.mark.parametrize("wrong", [X[:, :2], np.zeros((2, 3, 8, 8)), np.full((2, 3), np.nan), X[:0]])
def test_what_predict_cannot_use(fitted, wrong):
    for function in (fitted.predict, fitted.predict_proba, fitted.transform):
        with pytest.raises(DataError):
            function(wrong)


def test_scoring_without_labels_is_refused(fitted):
    with pytest.raises(DataError, match="nothing can be scored"):
        fitted.score(X)
    with pytest.raises(DataError, match="nothing can be scored"):
        fitted.score(X, [None] * 40)
    with pytest.raises(DataError, match="nothing can be scored"):
        fitted.score(X, np.linspace(0, 1.1, 40))


def test_scores_count_known_labels_alone(fitted):
    assert fitted.score(X, Y) == 1.0
    half = [None if row % 2 else int(label) for row, label in enumerate(Y)]
    assert fitted.score(X, half) == 1.0


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (Y, [0, 1]),
        (Y - 1, [-1, 0]),
        (Y * 10 + 2, [2, 12]),
        (Y.tolist(), [0, 1]),
        (np.array(["dog", "cat"])[Y], ["cat", "dog"]),
        (np.ma.MaskedArray(Y, mask=np.arange(40) < 4), [0, 1]),
    ],
)
def test_predictions_are_labels_as_they_were_given(y, classes):
    model = SourceOnly(**QUICK).fit(X, y)
    assert model.classes_.tolist() == classes
    predicted = model.predict(X)
    assert set(predicted.tolist()) <= set(classes)
    assert model.predict_proba(X).shape == (40, 2)
    assert model.score(X, y) == pytest.approx(float(np.mean(predicted == np.ma.getdata(np.ma.asarray(y)))), abs=0.11)


def test_fit_changes_neither_the_data_nor_the_settings_nor_the_world():
    x, y, target = X.copy(), Y.copy(), X.copy()
    model = DANN(**QUICK)
    before = model.get_params()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model.fit(x, y, target=target)
    assert torch.equal(torch.rand(3), expected)
    assert model.get_params() == before
    assert clone(model).get_params() == before
    for array, original in ((x, X), (y, Y), (target, X)):
        assert np.array_equal(array, original)


@pytest.mark.parametrize("method", [SourceOnly, DANN, ADDA])
def test_fit_twice_is_fit_once(method):
    more = {"adversarial_epochs": 1} if method is ADDA else {}
    model = method(**QUICK, **more)
    first = model.fit(X, Y, target=X).scores(X)
    assert np.array_equal(model.fit(X, Y, target=X).scores(X), first)


def test_a_refused_fit_leaves_the_earlier_one():
    model = SourceOnly(**QUICK).fit(X, Y)
    before = model.scores(X)
    with pytest.raises(JuyiError):
        model.fit(X, np.zeros(40, int))
    assert np.array_equal(model.scores(X), before)


def test_every_method_can_be_imported_by_its_class_name():
    for method in METHODS.values():
        assert getattr(juyi.adapt, method.__name__) is method
    with pytest.raises(AttributeError, match="DAN"):
        _ = juyi.adapt.DAN


def test_score_compares_whole_names_and_not_their_beginnings():
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 2)).astype(np.float32)
    model = SourceOnly(epochs=1, batch=20, net="mlp", precision="float32").fit(x, np.array(["category", "dog"] * 60))
    model.classes_ = np.array(["category", "category"])
    assert model.score(x, np.array(["cat"] * 120)) == 0.0


def test_score_weighs_only_the_labelled_rows():
    x = np.random.default_rng(0).normal(size=(120, 2)).astype(np.float32)
    y = np.array([0, 1] * 60)
    model = SourceOnly(epochs=1, batch=20, net="mlp", precision="float32").fit(x, y)
    some = [None if row < 100 else int(label) for row, label in enumerate(y)]
    weights = np.arange(120.0)
    right = model.predict(x[100:]) == y[100:]
    assert model.score(x, some, sample_weight=weights) == pytest.approx(np.average(right, weights=weights[100:]))


def test_whole_number_labels_stay_numbers_where_some_are_unknown():
    x = np.random.default_rng(0).normal(size=(90, 2)).astype(np.float32)
    model = SourceOnly(epochs=1, batch=20, net="mlp", precision="float32").fit(x, [None, 10, 1] * 30)
    assert model.classes_.tolist() == [1, 10] and set(model.predict(x)) <= {1, 10}

"""The contract of methods of pretraining."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from juyi.check.common import CLASSES, check_declarations, nothing_opened, refused, resumes, same, weights
from juyi.data import Domain
from juyi.errors import DataError, SettingError
from juyi.measure import neighbour_scores
from juyi.pretrain import Pretrainer
from juyi.training import Served, declared, read_model, write_model


def stripes(seed: int = 0, rows: int = 240) -> Domain:
    """Return pictures of 12×12 pixels with stripes in one of three directions, of any width, place, light and contrast.

    They come with their labels, the directions.
    """
    random = np.random.default_rng(seed)
    y = np.arange(rows) % 3

    def draw(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, (rows, 1, 1))

    angle = (np.pi / 3 * y + random.normal(scale=0.15, size=rows))[:, None, None]
    across, down = np.meshgrid(np.arange(12), np.arange(12))
    along = np.cos(angle) * across + np.sin(angle) * down
    wave = np.sin(2 * np.pi * along / draw(2.8, 5.5) + draw(0, 2 * np.pi))
    x = draw(70, 185) + draw(30, 60) * wave + random.normal(scale=20, size=(rows, 12, 12))
    return Domain(x.clip(0, 255).astype(np.uint8)[:, None], y, classes=CLASSES, name="stripes")


def small(method: type[Pretrainer], epochs: int = 2, **settings: Any) -> Pretrainer:
    """Return the method with settings for the stripes."""
    found: dict[str, Any] = {"batch": 60, "precision": "float32", "device": "cpu", "epochs": epochs}
    if "patches" not in method.__module__:
        found |= {"net": "cnn_small-0.25"}
    return method(**{**found, **method.quick, **settings})


def check_finds_what_is_alike(method: type[Pretrainer]) -> None:
    """Pictures that it has not seen lie beside pictures that show the same, more often than before it learnt."""
    known, asked = stripes(seed=1), stripes(seed=2)
    fitted = small(method, epochs=50).fit(known)
    before = Served(fitted.build(known).eval(), fitted.shape_, ())

    def right(served: Served) -> float:
        votes = neighbour_scores(served.features(known), known.y, served.features(asked), len(CLASSES), k=10)
        return float((votes.argmax(1) == asked.y).mean())

    untrained, found = right(before), right(fitted._served())
    assert found >= 0.85 and found > untrained, f"neighbours foretell {found:.3f}, before it learnt {untrained:.3f}"


def check_labels_are_not_read(method: type[Pretrainer]) -> None:
    """Labels that the images have, right or poisoned, change no bit."""
    images = stripes()
    poisoned = Domain(images.x, np.random.default_rng(1).permutation(images.y), classes=CLASSES, name="stripes")
    one, other = (weights(small(method).fit(domain)) for domain in (images, poisoned))
    assert same(one, other), "labels have been read"


def check_seed(method: type[Pretrainer]) -> None:
    """The same seed gives the same bits, another seed others."""
    one, again, other = (weights(small(method, random_state=seed).fit(stripes())) for seed in (3, 3, 4))
    assert same(one, again), "two fits with one seed differ"
    assert not same(one, other), "two seeds give the same weights"


def check_resumes_to_the_same_bits(method: type[Pretrainer]) -> None:
    """Killed anywhere, inside or between stages, and resumed, it ends with the same bits."""
    images = Domain(stripes().x, name="stripes")
    resumes(lambda watcher, checkpoint: small(method).learn(images, watcher=watcher, checkpoint=checkpoint))


def check_saved_model_agrees(method: type[Pretrainer]) -> None:
    """Written and read back, the backbone gives the same features."""
    images = stripes(seed=2)
    fitted = small(method).fit(images)
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), "model", fitted.net_, fitted.shape_, None, fitted.layers)
        net, description = read_model(Path(folder), "model")
    read = Served(net, description["shape"], ())
    assert np.array_equal(read.features(images), fitted.transform(images)), "the model read back differs"


def check_wrong_input(method: type[Pretrainer]) -> None:
    """Wrong input raises the documented errors, before anything is learnt."""
    images = stripes()
    cases: list[tuple[type[Exception], Callable[[], Any]]] = [
        (DataError, lambda: small(method).fit(np.zeros((80, 4), np.float32))),
        (DataError, lambda: small(method).fit(Domain(np.full((80, 1, 12, 12), 7, np.uint8), name="all equal"))),
        (DataError, lambda: small(method, batch=1000).fit(images)),
        (SettingError, lambda: small(method, learning_rate=-1.0).fit(images)),
        (SettingError, lambda: small(method, net="no_such_net").fit(images)),
        (SettingError, lambda: small(method, look="upside_down").fit(images)),
        (SettingError, lambda: small(method).fit(images).predict(images)),
    ]
    refused(cases)


def check_estimator(method: type[Pretrainer]) -> None:
    """`clone`, `get_params` and pickling in memory work as scikit-learn people expect."""
    images = stripes(seed=2)
    made = small(method, random_state=5)
    settings = made.get_params()
    assert clone(made).get_params() == settings, "a clone differs"
    assert settings.keys() >= declared(method).keys(), "get_params leaves hyperparameters out"
    fitted = made.fit(images)
    assert fitted is made, "fit must return self"
    assert made.get_params() == settings, "fit changes hyperparameters"
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.transform(images), fitted.transform(images)), "pickled and back, the features differ"


def check_quiet(method: type[Pretrainer]) -> None:
    """Learning opens no file, starts no thread and prints nothing; that is for those who watch."""
    small(method).fit(stripes())  # imports are done
    with nothing_opened():
        small(method).fit(stripes())


PRETRAINER_CHECKS: dict[str, Callable[[type[Pretrainer]], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_declarations,
        check_finds_what_is_alike,
        check_labels_are_not_read,
        check_seed,
        check_resumes_to_the_same_bits,
        check_saved_model_agrees,
        check_wrong_input,
        check_estimator,
        check_quiet,
    )
}
"""Every check by its name."""

"""The contract of methods of adaptation."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from juyi.adapt import Adapter, SourceOnly
from juyi.check.common import (
    CLASSES,
    check_declarations,
    nothing_opened,
    refused,
    resumes,
    same,
    shifted_domains,
    weights,
)
from juyi.data import Domain
from juyi.errors import DataError, SettingError
from juyi.nets import TARGET
from juyi.training import Served, declared, read_model, write_model

NEEDED = 12
"""The labels that a method is given which needs some."""


def given(method: type[Adapter], domain: Domain, y: np.ndarray | None = None, more: int = 0) -> Domain:
    """Return the domain with its labels, or `y`, of which few may be read: those that the method needs, and `more`."""
    labelled = np.arange(domain.size) < (NEEDED if method.needs_target_labels else 0) + more
    return Domain(domain.x, domain.y if y is None else y, labelled, domain.classes, name="target")


def small(method: type[Adapter], epochs: int = 2, **settings: Any) -> Adapter:
    """Return the method with settings for a small table."""
    quick = getattr(method, "quick", {})
    found: dict[str, Any] = {"net": "mlp", "batch": 60, "precision": "float32", "device": "cpu", **quick, **settings}
    return method(**{name: epochs for name in declared(method) if name.endswith("epochs")} | found)


def check_learns_a_shift(method: type[Adapter]) -> None:
    """On a shift that moves and stretches the features, it is right about nine target rows in ten."""
    source, target = shifted_domains()
    accuracy = small(method, epochs=20).fit(source, target=given(method, target)).score(target)
    assert accuracy >= 0.9, f"accuracy on the target is {accuracy:.3f}, expected .9 or more"


def check_learns_the_source_without_target(method: type[Adapter]) -> None:
    """Without a target, it is source only, and knows the source."""
    source, _ = shifted_domains()
    accuracy = small(method, epochs=30).fit(source).score(source)
    assert accuracy >= 0.95, f"accuracy on the source is {accuracy:.3f}, expected .95 or more"


def check_source_free(method: type[Adapter]) -> None:
    """Given a trained model instead of the source, it learns the shift if it says that it can, and else refuses."""
    source, target = shifted_domains()
    epochs = 20 if method.source_free else 1
    trained = SourceOnly(net="mlp", batch=60, epochs=epochs, precision="float32", device="cpu").fit(source)
    start = Served(trained.net_, trained.shape_, trained.classes_, layers=trained.layers)
    before = start.fingerprint()
    try:
        adapted = small(method, epochs=20).fit(start, target=given(method, target))
    except SettingError:
        assert not method.source_free, "it says that it is source-free, but refuses a trained model"
        return
    assert method.source_free, "it takes a trained model, but does not say that it is source-free"
    assert start.fingerprint() == before, "the model that it was given has changed"
    assert adapted.score(target) >= 0.9, f"accuracy on the target is {adapted.score(target):.3f}, expected .9 or more"


def check_numbers(method: type[Adapter]) -> None:
    """Labels that are numbers are told, in their own unit, if the method says that it can, and else refused."""
    source, target = (  # from one place, since no method can know what a number is on the other side of a shift
        Domain(one.x, 1000 + 50 * one.x[:, 0] - 20 * one.x[:, 1], name=name)
        for name, (one, _) in (("source", shifted_domains()), ("target", shifted_domains(seed=1)))
    )
    few = Domain(target.x, target.y, np.arange(target.size) < 2 * NEEDED, name="target")
    try:
        fitted = small(method, epochs=60).fit(source, target=few)
    except DataError:
        assert not method.regression, "it says that it tells numbers, but refuses them"
        return
    assert method.regression, "it takes labels that are numbers, but does not say so"
    told = fitted.predict(target)
    assert told.shape == (target.size,) and told.dtype == np.float32, "a number a row is expected, float32"
    assert fitted.score(target) >= 0.8, f"R² on the target is {fitted.score(target):.3f}, expected .8 or more"


def check_hidden_labels_are_not_read(method: type[Adapter]) -> None:
    """Permuting the target's withheld labels changes no bit."""
    source, target = shifted_domains()
    y = target.y.copy()
    y[NEEDED:] = np.random.default_rng(1).permutation(y[NEEDED:])
    other = given(method, target, y)
    one = weights(small(method).fit(source, target=given(method, target)))
    assert same(one, weights(small(method).fit(source, target=other))), "the withheld labels have been read"


def check_given_labels_are_used(method: type[Adapter]) -> None:
    """Target labels that the person gave change what is learnt."""
    source, target = shifted_domains()
    some = given(method, target, more=12)
    one = weights(small(method).fit(source, target=given(method, target)))
    assert not same(one, weights(small(method).fit(source, target=some))), "the given target labels are not used"


def check_seed(method: type[Adapter]) -> None:
    """The same seed gives the same bits, another seed others; the caller's random state is left alone."""
    source, target = shifted_domains()
    state = torch.get_rng_state()
    one, again, other = (
        weights(small(method, random_state=seed).fit(source, target=given(method, target))) for seed in (3, 3, 4)
    )
    assert bool((state == torch.get_rng_state()).all()), "fit changes torch's global random state"
    assert same(one, again), "two fits with one seed differ"
    assert not (method.draws and same(one, other)), "two seeds give the same weights"


def check_resumes_to_the_same_bits(method: type[Adapter]) -> None:
    """Killed anywhere, inside or between stages, and resumed, it ends with the same bits."""
    source, target = shifted_domains()
    resumes(
        lambda watcher, checkpoint: small(method).learn(
            source, given(method, target), watcher=watcher, checkpoint=checkpoint
        )
    )


def check_saved_model_agrees(method: type[Adapter]) -> None:
    """Written and read back, the model gives the same scores."""
    source, target = shifted_domains()
    fitted = small(method).fit(source, target=given(method, target))
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), "model", fitted.net_, fitted.shape_, CLASSES, fitted.layers)
        net, description = read_model(Path(folder), "model")
    read = Served(net, description["shape"], description["classes"])
    assert np.array_equal(read.scores(target), fitted.scores(target, domain=TARGET)), "the model read back differs"


def check_wrong_input(method: type[Adapter]) -> None:
    """Wrong input raises the documented errors, before anything is learnt."""
    source, target = shifted_domains()
    images = Domain(np.zeros((50, 1, 8, 8), np.uint8))
    one_class = source.select(source.y == 0)
    cases: list[tuple[type[Exception], Callable[[], Any]]] = [
        (DataError, lambda: small(method).fit(source, target=images)),
        (DataError, lambda: small(method).fit(one_class, target=given(method, target))),
        (DataError, lambda: small(method).fit(Domain(source.x, classes=CLASSES), target=given(method, target))),
        (DataError, lambda: small(method, batch=1000).fit(source, target=given(method, target))),
        (SettingError, lambda: small(method, learning_rate=-1.0).fit(source, target=given(method, target))),
        (SettingError, lambda: small(method, net="no_such_net").fit(source, target=given(method, target))),
    ]
    refused(cases)


def check_estimator(method: type[Adapter]) -> None:
    """`clone`, `get_params`, `set_params` and pickling in memory work as scikit-learn people expect."""
    source, target = shifted_domains()
    made = small(method, random_state=5)
    assert clone(made).get_params() == made.get_params(), "a clone has other parameters"
    assert made.get_params().keys() >= declared(method).keys(), "get_params leaves hyperparameters out"
    before = made.get_params()
    fitted = made.fit(source, target=given(method, target))
    assert fitted is made and made.get_params() == before, "fit must return self and leave hyperparameters alone"
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.scores(target), fitted.scores(target)), "pickled and back, the scores differ"
    total = fitted.predict_proba(target).sum(1)
    assert np.allclose(total, 1, atol=1e-5), "probabilities do not sum to 1"


def check_quiet(method: type[Adapter]) -> None:
    """Learning opens no file, starts no thread and prints nothing; that is for those who watch."""
    source, target = shifted_domains()
    small(method).fit(source, target=given(method, target))  # imports are done
    with nothing_opened():
        small(method).fit(source, target=given(method, target))


CHECKS: dict[str, Callable[[type[Adapter]], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_declarations,
        check_learns_a_shift,
        check_learns_the_source_without_target,
        check_source_free,
        check_numbers,
        check_hidden_labels_are_not_read,
        check_given_labels_are_used,
        check_seed,
        check_resumes_to_the_same_bits,
        check_saved_model_agrees,
        check_wrong_input,
        check_estimator,
        check_quiet,
    )
}
"""Every check by its name."""

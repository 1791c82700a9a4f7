"""The contract of methods of fine-tuning."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from juyi.adapt import SourceOnly
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
from juyi.finetune import Finetuner
from juyi.training import Served, declared, read_model, write_model


@cache
def backbone() -> Served:
    """A network that has learnt the source of the small task, once: 8 features."""
    source, _ = shifted_domains()
    fitted = SourceOnly(net="mlp", batch_norm="none", batch=60, epochs=20, precision="float32", device="cpu").fit(
        source
    )
    return Served(fitted.net_, fitted.shape_, fitted.classes_, layers={"batch_norm": "none", "head": "own"})


def few_labels(seed: int = 0, per_class: int = 10) -> Domain:
    """A few labelled rows of the target, where the backbone's own head is wrong about most."""
    _, target = shifted_domains(seed=seed)
    return target.select(np.arange(3 * per_class), name="few")


def more_rows(seed: int = 0) -> Domain:
    """Rows of the target without a label."""
    _, target = shifted_domains(seed=seed)
    return Domain(target.x, name="more")


def small(method: type[Finetuner], epochs: int = 3, **settings: Any) -> Finetuner:
    """Return the method with settings for the small task."""
    found: dict[str, Any] = {"backbone": backbone(), "batch": 15, "learning_rate": 0.01, "epochs": epochs}
    found |= {"precision": "float32", "device": "cpu"}
    return method(**{**found, **method.quick, **settings})


def learnt(method: Finetuner, few: Domain | None = None) -> Finetuner:
    """The method, fitted to a few labels."""
    return method.fit(few or few_labels(), unlabelled=more_rows() if method.takes_unlabelled else None)


def check_learns_from_a_few(method: type[Finetuner]) -> None:
    """From ten labels a class it is right on nine in ten rows that it has not seen."""
    _, asked = shifted_domains(seed=7)
    accuracy = learnt(small(method, epochs=60)).score(asked)
    assert accuracy >= 0.9, f"it is right on {accuracy:.3f} of the rows, expected .9 or more"


def check_frozen_means_frozen(method: type[Finetuner]) -> None:
    """What does not tune the backbone leaves it as it is, to the bit; the one that was given never changes."""
    before = {name: value.clone() for name, value in backbone().net.state_dict().items()}
    fitted = learnt(small(method))
    assert same(before, backbone().net.state_dict()), "the backbone that was given has changed"
    if not method.tunes_body:
        body = {name: value for name, value in fitted.net_.state_dict().items() if not name.startswith("head.")}
        assert same(body, {name: before[name] for name in body}), "it says it is frozen, and the backbone has changed"


def check_hidden_labels_are_not_read(method: type[Finetuner]) -> None:
    """Permuting labels that may not be read changes no bit."""
    _, target = shifted_domains(seed=1)
    known = np.arange(target.size) < 30
    y = target.y.copy()
    y[~known] = np.random.default_rng(1).permutation(y[~known])
    one, other = (
        weights(
            small(method).fit(
                Domain(target.x, labels, known, CLASSES, name="few"),
                unlabelled=Domain(target.x, labels, classes=CLASSES, name="more") if method.takes_unlabelled else None,
            )
        )
        for labels in (target.y, y)
    )
    assert same(one, other), "labels that may not be read have been read"


def check_seed(method: type[Finetuner]) -> None:
    """The same seed gives the same bits; another seed others, where it says that the seed makes a difference."""
    one, again, other = (weights(learnt(small(method, random_state=seed))) for seed in (3, 3, 4))
    assert same(one, again), "two fits with one seed differ"
    assert same(one, other) != method.draws, f"draws is {method.draws}, but two seeds give {same(one, other)=}"


def check_resumes_to_the_same_bits(method: type[Finetuner]) -> None:
    """Killed anywhere, inside or between stages, and resumed, it ends with the same bits."""
    more = more_rows() if method.takes_unlabelled else None
    resumes(
        lambda watcher, checkpoint: small(method).learn(
            backbone(), few_labels(), more, watcher=watcher, checkpoint=checkpoint
        )
    )


def check_saved_model_agrees(method: type[Finetuner]) -> None:
    """Written and read back, the classifier gives the same scores, and needs no backbone."""
    rows, few = more_rows(2), few_labels()
    fitted = learnt(small(method))
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), "model", fitted.net_, fitted.shape_, CLASSES, fitted.layers_of(backbone(), few))
        net, description = read_model(Path(folder), "model")
    read = Served(net, description["shape"], description["classes"])
    assert np.array_equal(read.scores(rows), fitted.scores(rows)), "the model read back differs"


def check_wrong_input(method: type[Finetuner]) -> None:
    """Wrong input raises the documented errors, before anything is learnt."""
    few, images = few_labels(), np.zeros((30, 1, 8, 8), np.uint8)
    alone = few.select(np.flatnonzero(few.y == 0))
    cases: list[tuple[type[Exception], Callable[[], Any]]] = [
        (DataError, lambda: learnt(small(method), more_rows())),
        (DataError, lambda: learnt(small(method), alone)),
        (DataError, lambda: small(method).fit(images, few.y)),
        (DataError, lambda: small(method).fit(few.x, few.x[:, 0] + 0.5)),
        (SettingError, lambda: learnt(small(method, backbone=None))),
        (SettingError, lambda: learnt(small(method, backbone="no_such_net"))),
        (SettingError, lambda: learnt(small(method, learning_rate=-1.0))),
    ]
    if method.takes_unlabelled:
        cases.append((DataError, lambda: small(method).fit(few)))
    refused(cases)


def check_estimator(method: type[Finetuner]) -> None:
    """`clone`, `get_params` and pickling in memory work as scikit-learn people expect."""
    made = small(method, random_state=5)

    def settings(of: Finetuner) -> dict[str, Any]:
        return {k: v for k, v in of.get_params().items() if k != "backbone"}

    before = settings(made)
    assert settings(clone(made)) == before, "a clone differs"
    assert made.get_params().keys() >= declared(method).keys(), "get_params leaves hyperparameters out"
    fitted = learnt(made)
    assert fitted is made, "fit must return self"
    assert settings(made) == before, "fit changes hyperparameters"
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.scores(more_rows()), fitted.scores(more_rows())), "pickled and back, the scores differ"
    assert np.allclose(fitted.predict_proba(more_rows()).sum(1), 1, atol=1e-5), "probabilities do not sum to 1"
    assert bool(torch.isfinite(torch.from_numpy(fitted.scores(more_rows()))).all()), "scores are not finite"


def check_quiet(method: type[Finetuner]) -> None:
    """Learning opens no file, starts no thread and prints nothing; that is for those who watch."""
    learnt(small(method))  # imports are done
    with nothing_opened():
        learnt(small(method))


FINETUNER_CHECKS: dict[str, Callable[[type[Finetuner]], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_declarations,
        check_learns_from_a_few,
        check_frozen_means_frozen,
        check_hidden_labels_are_not_read,
        check_seed,
        check_resumes_to_the_same_bits,
        check_saved_model_agrees,
        check_wrong_input,
        check_estimator,
        check_quiet,
    )
}
"""Every check by its name."""

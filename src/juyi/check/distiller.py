"""The contract of methods of distillation."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
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
from juyi.distill import Distiller, Teacher
from juyi.distill.teachers import of_served
from juyi.errors import ClassesDifferError, DataError, SettingError
from juyi.training import Served, declared, read_model, write_model


@cache
def _trained() -> Served:
    """A teacher of the small task, trained once."""
    source, _ = shifted_domains()
    fitted = SourceOnly(net="mlp", batch=60, epochs=20, precision="float32", device="cpu").fit(source)
    return Served(fitted.net_, fitted.shape_, fitted.classes_)


def teacher() -> Teacher:
    """A teacher of the small task: 8 features, three classes."""
    return of_served(_trained(), "teacher")


def small(method: type[Distiller], epochs: int = 2, **settings: Any) -> Distiller:
    """Return the method with settings for a small table."""
    found = {"teacher": teacher(), "student": "mlp-16", "batch": 60, "learning_rate": 0.01}
    found |= {"precision": "float32", "device": "cpu"}
    epochs_of = {name: epochs for name in declared(method) if name.endswith("epochs")}
    return method(**{**epochs_of, **found, **method.quick, **settings})


def data_for(method: type[Distiller], domain: Domain | None = None) -> Domain | None:
    """The data with which the method is checked: labelled where it takes data, else none."""
    return (domain or shifted_domains(seed=1)[0]) if method.takes_data else None


def check_learns_the_teacher(method: type[Distiller]) -> None:
    """On rows that it has not seen, the student answers nine times in ten as its teacher does."""
    source, _ = shifted_domains(seed=2)
    fitted = small(method, epochs=60).fit(data_for(method))
    agreement = float((fitted.predict(source) == _trained().predict(source)).mean())
    assert agreement >= 0.9, f"the student agrees with its teacher on {agreement:.3f} of the rows, expected .9 or more"


def check_data_or_none(method: type[Distiller]) -> None:
    """Without data it learns, or says that it needs some."""
    source, _ = shifted_domains(seed=2)
    try:
        fitted = small(method, epochs=60).fit()
    except DataError:
        assert method.needs_data, "it refuses to learn without data, but does not say that it needs some"
        return
    assert not method.needs_data, "it learns without data, but says that it needs some"
    agreement = float((fitted.predict(source) == _trained().predict(source)).mean())
    assert agreement >= 0.85, f"without data, the student agrees with its teacher on {agreement:.3f} of the rows"


def check_teacher_is_unchanged(method: type[Distiller]) -> None:
    """The teacher has the bits that it had, and neither gradients nor hooks are left that change what it answers."""
    asked = teacher()
    before, rows = asked.fingerprint(), shifted_domains(seed=3)[0]
    answers = _trained().scores(rows)
    small(method, teacher=asked).fit(data_for(method))
    assert asked.fingerprint() == before, "the teacher's weights have changed"
    assert np.array_equal(_trained().scores(rows), answers), "the teacher answers otherwise than before"
    assert all(p.grad is None for p in asked.net.parameters()), "gradients were left in the teacher"


def check_hidden_labels_are_not_read(method: type[Distiller]) -> None:
    """Permuting labels that may not be read changes no bit."""
    if not method.takes_data:
        return
    source, _ = shifted_domains(seed=1)
    known = np.arange(source.size) % 2 == 0
    y = source.y.copy()
    y[~known] = np.random.default_rng(1).permutation(y[~known])
    one, other = (
        weights(small(method).fit(Domain(source.x, labels, known, CLASSES, name="data"))) for labels in (source.y, y)
    )
    assert same(one, other), "labels that may not be read have been read"


def check_seed(method: type[Distiller]) -> None:
    """The same seed gives the same bits, another seed others."""
    one, again, other = (weights(small(method, random_state=seed).fit(data_for(method))) for seed in (3, 3, 4))
    assert same(one, again), "two fits with one seed differ"
    assert not same(one, other), "two seeds give the same weights"


def check_resumes_to_the_same_bits(method: type[Distiller]) -> None:
    """Killed anywhere, inside or between stages, and resumed, it ends with the same bits."""
    data = data_for(method)
    resumes(lambda watcher, checkpoint: small(method).learn(teacher(), data, watcher=watcher, checkpoint=checkpoint))


def check_saved_model_agrees(method: type[Distiller]) -> None:
    """Written and read back, the student gives the same scores, and needs no teacher."""
    rows, _ = shifted_domains(seed=2)
    fitted = small(method).fit(data_for(method))
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), "model", fitted.net_, fitted.shape_, CLASSES, fitted.layers)
        net, description = read_model(Path(folder), "model")
    read = Served(net, description["shape"], description["classes"])
    assert np.array_equal(read.scores(rows), fitted.scores(rows)), "the model read back differs"


def check_wrong_input(method: type[Distiller]) -> None:
    """Wrong input raises the documented errors, before anything is learnt."""
    source, _ = shifted_domains(seed=1)
    images = Domain(np.zeros((80, 1, 8, 8), np.uint8), name="images")
    other = Domain(source.x, source.y, classes=("x", "y", "z"), name="others")
    cases: list[tuple[type[Exception], Callable[[], Any]]] = [
        (DataError, lambda: small(method).fit(images)),
        (ClassesDifferError, lambda: small(method).fit(other)),
        (SettingError, lambda: small(method, teacher=None).fit(source)),
        (SettingError, lambda: small(method, learning_rate=-1.0).fit(source)),
        (SettingError, lambda: small(method, student="no_such_net").fit(source)),
    ]
    if method.takes_data:
        cases.append((DataError, lambda: small(method, batch=1000).fit(source)))
    refused(cases)


def check_estimator(method: type[Distiller]) -> None:
    """`clone`, `get_params` and pickling in memory work as scikit-learn people expect."""
    rows, _ = shifted_domains(seed=2)
    made = small(method, random_state=5)
    settings = {k: v for k, v in made.get_params().items() if k != "teacher"}
    assert {k: v for k, v in clone(made).get_params().items() if k != "teacher"} == settings, "a clone differs"
    assert made.get_params().keys() >= declared(method).keys(), "get_params leaves hyperparameters out"
    fitted = made.fit(data_for(method))
    assert fitted is made, "fit must return self"
    assert {k: v for k, v in made.get_params().items() if k != "teacher"} == settings, "fit changes hyperparameters"
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.scores(rows), fitted.scores(rows)), "pickled and back, the scores differ"
    assert np.allclose(fitted.predict_proba(rows).sum(1), 1, atol=1e-5), "probabilities do not sum to 1"


def check_quiet(method: type[Distiller]) -> None:
    """Learning opens no file, starts no thread and prints nothing; that is for those who watch."""
    small(method).fit(data_for(method))  # imports are done
    with nothing_opened():
        small(method).fit(data_for(method))


DISTILLER_CHECKS: dict[str, Callable[[type[Distiller]], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_declarations,
        check_learns_the_teacher,
        check_data_or_none,
        check_teacher_is_unchanged,
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

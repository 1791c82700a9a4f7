"""The contract of methods of personalisation."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from juyi.check.common import CLASSES, check_declarations, nothing_opened, refused, resumes, same
from juyi.data import Domain
from juyi.errors import DataError, SettingError
from juyi.personalize import Personaliser
from juyi.personalize.federation import Federation
from juyi.personalize.simulation import InMemory, clients_of, federation_of, go_through
from juyi.training import Checkpoint, Watcher, declared

CLIENTS = ("ann", "bob", "cem", "dora")
CPU = torch.device("cpu")


def skewed_clients(seed: int = 0, sizes: tuple[int, ...] = (30, 40, 35, 25)) -> Domain:
    """Return rows of 8 features of four clients; each has two of three classes for the most part, and a shift."""
    random = np.random.default_rng(seed)
    centres, shift = 3.0 * np.eye(3, 8), np.random.default_rng(99).normal(scale=0.5, size=(len(sizes), 8))
    x, y = [], []
    for number, size in enumerate(sizes):
        shares = np.full(3, 0.45)
        shares[number % 3] = 0.1
        classes = random.choice(3, size, p=shares)
        x.append(centres[classes] + shift[number] + random.normal(scale=0.6, size=(size, 8)))
        y.append(classes)
    whose = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.concatenate(x).astype(np.float32)
    return Domain(rows, np.concatenate(y), classes=CLASSES, group=whose, groups=CLIENTS[: len(sizes)], name="clients")


def small(method: type[Personaliser], **settings: Any) -> Personaliser:
    """Return the method with settings for the small task."""
    found: dict[str, Any] = {"net": "mlp-12", "batch": 32, "rounds": 3, "precision": "float32", "device": "cpu"}
    return method(**{**found, **method.quick, **settings})


def begun(method: Personaliser, clients: list[InMemory] | None = None, seed: int = 0) -> Federation:
    """Clients and a server before the first round."""
    some, every = clients_of(skewed_clients(), seed)
    return federation_of(method, [one.on(CPU) for one in clients or some], every, CPU)


def bits_of(federation: Federation) -> dict[str, Tensor]:
    """What a federation has learnt, and what it counted, as tensors."""
    found: dict[str, Tensor] = {}
    for name, value in federation.state_dict().items():
        found[name] = value.clone() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
    return found


def check_learns(method: type[Personaliser]) -> None:
    """Each client's model is right on more of its rows than the beginning, and on most that it has not seen."""
    fitted = small(method, rounds=4, epochs=4, batch=12, learning_rate=0.1).fit(skewed_clients())
    asked = skewed_clients(seed=7, sizes=(100, 100, 100, 100))
    untrained = begun(fitted.federation_.method)
    before, after = [], []
    for number, name in enumerate(CLIENTS):
        rows = asked.select(np.flatnonzero(asked.group == number))
        after.append(fitted.score(rows, client=name))
        untrained.model["all"] = untrained.beginning
        told = fitted.federation_.model.net  # the shape is the same; the weights are those of the beginning
        told.load_state_dict(untrained.model.net.state_dict())
        before.append(float((told.eval()(torch.from_numpy(rows.x)).argmax(1).numpy() == rows.y).mean()))
    assert np.mean(after) >= 0.85, f"its models are right on {np.mean(after):.3f} of the rows, expected .85 or more"
    assert np.mean(after) > np.mean(before) + 0.1, f"{np.mean(after):.3f} after, {np.mean(before):.3f} at the beginning"


def check_seed(method: type[Personaliser]) -> None:
    """The same seed gives the same bits, another seed others."""
    one, again, other = (bits_of(small(method, random_state=s).fit(skewed_clients()).federation_) for s in (3, 3, 4))
    assert same(one, again), "two fits with one seed differ"
    assert not same(one, other), "another seed gives the same bits"


def check_held_out_rows_are_not_learnt_from(method: type[Personaliser]) -> None:
    """Held-out rows choose, and teach nothing: with their labels permuted, the rounds go the same way to the bit."""
    made, _ = clients_of(skewed_clients(), 0)
    poisoned = [
        replace(one, held_out=replace(one.held_out, y=(one.held_out.y + 1) % 3, x=one.held_out.x[::-1].copy()))
        for one in made
    ]
    found = []
    for clients in (made, poisoned):
        federation = begun(small(method), clients)
        while federation.round < 2:
            federation.next_round()
        found.append({name: v for name, v in bits_of(federation).items() if name.startswith(("shared.", "own."))})
    assert same(*found), "rows that were held out have been learnt from"


def check_resumes_to_the_same_bits(method: type[Personaliser]) -> None:
    """Killed anywhere and resumed, it ends with the same bits: what is shared, each client's own, the best round."""

    def learn(watcher: Watcher | None, checkpoint: Checkpoint | None) -> Federation:
        federation = begun(small(method, participation=0.75, dropouts=0.2, stragglers=0.3))
        return go_through(federation, watcher, checkpoint, back=False)

    resumes(learn, bits_of)


def check_who_never_took_part_has_a_model(method: type[Personaliser]) -> None:
    """A client that was never chosen has a model that answers."""
    fitted = small(method, rounds=1, participation=0.25).fit(skewed_clients())
    for name in CLIENTS:
        probabilities = fitted.predict_proba(skewed_clients(), client=name)
        assert np.allclose(probabilities.sum(1), 1, atol=1e-5), f"{name}'s probabilities do not sum to 1"
    assert len(fitted.federation_.own) <= 1, "clients that did not take part keep something"


def check_wrong_input(method: type[Personaliser]) -> None:
    """Wrong input raises the documented errors."""
    rows = skewed_clients()
    whose = np.asarray(CLIENTS)[rows.group]
    alone = np.where(np.arange(rows.size) == 0, "eve", whose)
    fitted = small(method, rounds=1).fit(rows)
    unlabelled = replace(rows, labelled=np.zeros(rows.size, bool))
    cases: list[tuple[type[Exception], Callable[[], Any]]] = [
        (DataError, lambda: small(method).fit(rows.x, rows.y)),
        (DataError, lambda: small(method).fit(rows.x, rows.y, groups=whose[:-1])),
        (DataError, lambda: small(method).fit(rows.x, rows.y, groups=[None, *whose[1:]])),
        (DataError, lambda: small(method).fit(rows.x, rows.y, groups=alone)),
        (DataError, lambda: small(method).fit(rows.x, rows.y, groups=["ann"] * rows.size)),
        (DataError, lambda: small(method).fit(rows.x, rows.x[:, 0] + 0.5, groups=whose)),
        (DataError, lambda: small(method).fit(unlabelled)),
        (DataError, lambda: fitted.predict(rows.x[:, :4], client="ann")),
        (SettingError, lambda: small(method, participation=0.1).fit(rows)),
        (SettingError, lambda: small(method, participation=0.0).fit(rows)),
        (SettingError, lambda: small(method, net="no_such_net").fit(rows)),
        (SettingError, lambda: small(method, learning_rate=-1.0).fit(rows)),
        (SettingError, lambda: small(method, average=0.5).fit(rows)),
        (SettingError, lambda: fitted.predict(rows, client="anna")),
    ]
    if "model" not in fitted.federation_.shared:
        cases.append((SettingError, lambda: fitted.predict(rows)))
    else:
        assert fitted.predict(rows).shape == (rows.size,), "the model for all does not answer"
    refused(cases)


def check_estimator(method: type[Personaliser]) -> None:
    """`clone`, `get_params` and pickling in memory work as scikit-learn people expect."""
    made = small(method, random_state=5)
    before = made.get_params()
    assert clone(made).get_params() == before, "a clone differs"
    assert before.keys() >= declared(method).keys(), "get_params leaves hyperparameters out"
    rows = skewed_clients()
    assert made.fit(rows) is made, "fit must return self"
    assert made.get_params() == before, "fit changes hyperparameters"
    again = pickle.loads(pickle.dumps(made))
    for name in CLIENTS[:2]:
        told = made.scores(rows, client=name)
        assert np.array_equal(again.scores(rows, client=name), told), "pickled and back, the scores differ"
        assert np.array_equal(made.scores(rows, client=name), told), "asked twice, the scores differ"
    of_arrays = small(method, random_state=5).fit(rows.x, rows.y.tolist(), groups=np.asarray(CLIENTS)[rows.group])
    assert of_arrays.predict(rows.x, client="ann").dtype.kind == "i", "whole numbers as classes come back as others"
    names, codes = made.predict(rows, client="ann"), of_arrays.predict(rows.x, client="ann")
    assert (names == np.asarray(CLASSES)[codes]).all(), "an array and a domain of the same rows differ"


def check_quiet(method: type[Personaliser]) -> None:
    """Learning and answering open no file, start no thread, print nothing, and leave torch's global state alone."""
    rows = skewed_clients()
    small(method).fit(rows)  # imports are done
    state = torch.get_rng_state()
    with nothing_opened():
        small(method).fit(rows).predict(rows, client="ann")
    assert torch.equal(state, torch.get_rng_state()), "torch's global state has changed"


PERSONALISER_CHECKS: dict[str, Callable[[type[Personaliser]], None]] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_declarations,
        check_learns,
        check_seed,
        check_held_out_rows_are_not_learnt_from,
        check_resumes_to_the_same_bits,
        check_who_never_took_part_has_a_model,
        check_wrong_input,
        check_estimator,
        check_quiet,
    )
}
"""Every check by its name."""

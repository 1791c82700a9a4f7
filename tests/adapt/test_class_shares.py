"""Targets with other class shares than the source: the source is redrawn, resumed to the same bits, and it helps."""

import contextlib
import os
import pickle

import numpy as np
import pytest

from juyi.adapt import METHODS, AdaBN, SourceOnly
from juyi.check.adapter import given, small
from juyi.check.common import CLASSES, same, shifted_domains
from juyi.data import Domain
from juyi.errors import SettingError
from juyi.training import Checkpoint, Silent

REDRAWN = [name for name, method in METHODS.items() if not method.unweighable and not method.source_free]


def withheld(domain, y=None):
    """The domain with labels of which none may be read."""
    return Domain(domain.x, domain.y if y is None else y, np.zeros(domain.size, bool), CLASSES, name="target")


def partial_domains(seed=0):
    """The domains of the contract, the third class being absent from the target."""
    source, target = shifted_domains(seed, rows=300)
    return source, target.select(target.y < 2)


def fitted(name, source, target, epochs=3, **settings):
    method = METHODS[name]
    settings = {"class_shares": "estimated", **settings}
    return small(method, epochs=epochs, **settings).fit(source, target=given(method, target))


def bits(method):
    return {name: value.clone() for name, value in method.net_.state_dict().items()}


def test_most_methods_can_be_redrawn():
    assert len(REDRAWN) >= 7 and {"dann", "mcc", "adda", "adamatch"} <= set(REDRAWN)


@pytest.mark.parametrize("name", REDRAWN)
def test_every_method_goes_by_the_shares(name):
    source, target = partial_domains()
    method = fitted(name, source, target)
    assert method.class_shares_.sum() == pytest.approx(1.0) and method.class_shares_.shape == (3,)
    assert pickle.loads(pickle.dumps(method)).class_shares_.tolist() == method.class_shares_.tolist()
    assert len(pickle.dumps(method)) < 400_000  # no data go along


@pytest.mark.parametrize("name", ["dann", "mcc", "deep_coral"])
def test_with_a_class_absent_estimated_shares_help(name):
    """The mean of three seeds; without them the third part of the source has to lie somewhere on the target."""
    gains = []
    for seed in range(3):
        source, target = partial_domains(seed)
        plain = small(METHODS[name], epochs=20, random_state=seed).fit(source, target=withheld(target))
        redrawn = fitted(name, source, target, epochs=20, random_state=seed)
        assert redrawn.class_shares_[2] < 1 / 3
        gains.append(redrawn.score(target) - plain.score(target))
    assert np.mean(gains) > 0.0, gains


class Killed(BaseException):
    """As sudden as a kill."""


class Kill(Silent):
    """Counts steps and ends of stages, and raises at one of them."""

    def __init__(self, at=-1):
        self.at, self.count = at, 0

    def step_done(self, run):
        self.count += 1
        if self.count == self.at:
            raise Killed

    stage_ends = step_done


@pytest.mark.parametrize(("name", "average"), [("dann", 0.0), ("adda", 0.0), ("mcc", 0.9)])
def test_killed_and_resumed_the_same_bits_come_out(name, average, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nothing is really killed
    source, target = partial_domains()

    def learn(watcher=None, folder=None, every=0.0):
        method = small(METHODS[name], epochs=3, class_shares="estimated", average=average)
        checkpoint = None if folder is None else Checkpoint(folder, every=every)
        return method.learn(source, withheld(target), watcher=watcher, checkpoint=checkpoint)

    counter = Kill()
    whole = learn(counter)
    for at in sorted({1, counter.count // 3, counter.count // 3 + 1, 2 * counter.count // 3, counter.count}):
        folder = tmp_path / str(at)
        with contextlib.suppress(Killed):
            learn(Kill(at), folder)
        resumed = learn(folder=folder)
        assert same(bits(whole), bits(resumed)), f"killed at {at} of {counter.count}"
        assert resumed.class_shares_.tolist() == whole.class_shares_.tolist()


def test_hidden_labels_are_not_read():
    source, target = partial_domains()
    other = withheld(target, np.random.default_rng(0).permutation(target.y))
    one, two = (
        small(METHODS["dann"], epochs=3, class_shares="estimated").fit(source, target=t)
        for t in (withheld(target), other)
    )
    assert same(bits(one), bits(two))


def test_the_sources_shares_are_the_bits_of_before():
    source, target = partial_domains()
    one, two = (small(METHODS["dann"]).fit(source, target=withheld(target)) for _ in range(2))
    assert same(bits(one), bits(two)) and one.class_shares_ is None


@pytest.mark.parametrize(("method", "words"), [(AdaBN, "the target's statistics"), (SourceOnly, "uses no target row")])
def test_methods_that_cannot_reckon_with_shares_say_why(method, words):
    source, target = partial_domains()
    with pytest.raises(SettingError, match=words) as error:
        small(method, class_shares="estimated").fit(source, target=withheld(target))
    assert "\n" not in str(error.value) and "another method" in str(error.value)


def test_without_a_target_there_is_nothing_to_estimate():
    source, _ = partial_domains()
    assert small(METHODS["dann"], class_shares="estimated").fit(source).class_shares_ is None

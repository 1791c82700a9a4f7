"""Specialists: groups, the dustbin and its correction, the combination against a slow reference, the method."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from juyi.check.common import CLASSES, shifted_domains
from juyi.check.distiller import small, teacher
from juyi.data import Domain
from juyi.distill import Specialists, Teacher
from juyi.distill.combination import (
    Combination,
    Halves,
    collapse,
    combine,
    confusable_groups,
    dustbin_correction,
    specialist_of,
)
from juyi.errors import DataError, SettingError
from juyi.training import Rows

CPU = torch.device("cpu")


def said(rows, classes, seed):
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(classes), rows))


def total(z, generalist, specialists, groups, active):
    """The sum of divergences of one row, as the paper writes it."""
    q = np.exp(z - z.max())
    q /= q.sum()
    found = (generalist * np.log(generalist / q)).sum()
    for p, group, used in zip(specialists, groups, active, strict=True):
        if used:
            mine = np.append(q[group], np.delete(q, group).sum())
            found += (p * np.log(p / mine)).sum()
    return found


def test_combination_is_where_the_sum_of_divergences_is_least():
    groups = [[0, 1], [1, 2, 4], [3, 4], [5, 0]]
    generalist, specialists = said(6, 6, 0), [said(6, len(group) + 1, 1 + m) for m, group in enumerate(groups)]
    active = torch.from_numpy(np.random.default_rng(9).random((6, 4)) < 0.6)
    q = combine(generalist, specialists, groups, active)
    assert torch.allclose(q.sum(1), torch.ones(6, dtype=torch.float64))
    for row in range(6):
        facts = (generalist[row].numpy(), [p[row].numpy() for p in specialists], groups, active[row].tolist())
        slow = minimize(total, np.zeros(6), args=facts, method="BFGS", options={"gtol": 1e-9})
        assert total(np.log(q[row].numpy()), *facts) <= slow.fun + 1e-9
        assert np.allclose(q[row], np.exp(slow.x) / np.exp(slow.x).sum(), atol=1e-4)


def test_combination_without_active_specialists_is_the_generalist():
    generalist = said(5, 4, 0)
    nobody = torch.zeros(5, 1, dtype=torch.bool)
    assert torch.equal(combine(generalist, [said(5, 3, 1)], [[0, 2]], nobody), generalist)


def test_full_models_combine_to_the_arithmetic_mean():
    """KL(p ‖ q), p first, gives the arithmetic mean; KL(q ‖ p) would give the geometric one."""
    generalist, other, third = (said(7, 5, seed) for seed in range(3))
    full, nothing = [list(range(5))] * 2, torch.zeros(7, 1, dtype=torch.float64)
    both = [torch.cat([p, nothing], 1) for p in (other, third)]
    found = combine(generalist, both, full, torch.ones(7, 2, dtype=torch.bool))
    assert torch.allclose(found, (generalist + other + third) / 3, atol=1e-9)


def test_one_specialist_shares_its_dustbin_as_the_generalist_does():
    generalist, p = said(6, 5, 0), said(6, 3, 1)
    q = combine(generalist, [p], [[1, 3]], torch.ones(6, 1, dtype=torch.bool), rounds=1)
    assert torch.allclose(q[:, [1, 3]], (generalist[:, [1, 3]] + p[:, :2]) / 2)
    rest = generalist[:, [0, 2, 4]]
    share = (rest.sum(1) + p[:, 2]) / 2
    assert torch.allclose(q[:, [0, 2, 4]], rest / rest.sum(1, keepdim=True) * share[:, None])


def test_corrected_dustbin_gives_the_posterior_of_the_true_mix():
    """Of known densities: the best model of the mix of halves, corrected, is the best model of the true mix."""
    prior = torch.tensor([0.02, 0.08, 0.3, 0.6], dtype=torch.float64)
    x = torch.linspace(-3, 6, 50, dtype=torch.float64)[:, None]
    density = torch.exp(-(x - torch.arange(4)).square())
    true = density * prior
    true = torch.cat([true[:, :2], true[:, 2:].sum(1, keepdim=True)], 1)
    true /= true.sum(1, keepdim=True)

    own, others = prior[:2].sum(), prior[2:].sum()
    halves = density * torch.cat([prior[:2] / own / 2, prior[2:] / others / 2])
    learnt = torch.cat([halves[:, :2], halves[:, 2:].sum(1, keepdim=True)], 1).log()
    learnt[:, 2] += dustbin_correction(1_000, 9_000)
    assert torch.allclose(learnt.softmax(1), true)

    generalist = (density * prior).log()  # a perfect one, read on the mix of halves
    read = collapse(generalist, [0, 1], dustbin_correction(1_000, 9_000)).softmax(1)
    expected = torch.cat([halves[:, :2], halves[:, 2:].sum(1, keepdim=True)], 1)
    assert torch.allclose(read, expected / expected.sum(1, keepdim=True))


def test_groups_are_those_that_are_confused():
    random = np.random.default_rng(0)
    pairs = [(0, 4), (1, 5), (2, 3)]
    p = np.zeros((600, 6))
    for row in range(600):
        share = random.beta(2, 2)
        p[row, list(pairs[row % 3])] = share, 1 - share
    found = confusable_groups(torch.from_numpy(p), 3, seed=1).tolist()
    assert all(found[a] == found[b] for a, b in pairs) and len(set(found)) == 3


def test_halves_are_halves_and_a_function_of_the_step():
    data = Domain(np.arange(40, dtype=np.float32)[:, None], np.zeros(40, np.int64), classes=("a",))
    batches = Halves(Rows(data, CPU), 8, np.arange(6), np.arange(6, 40))
    assert batches.steps_per_epoch(1) == 1
    x = [batches.batch((3, 1), step, 0, 1).x.flatten() for step in range(30)]
    assert all(int((rows < 6).sum()) == 4 and len(rows) == 8 for rows in x)
    assert set(torch.cat(x).tolist()) == set(range(40))
    assert torch.equal(batches.batch((3, 1), 17, 0, 1).x.flatten(), x[17])
    parts = [batches.batch((3, 1), 2, process, 2) for process in range(2)]
    assert all(int((part.x < 6).sum()) == 4 for part in parts)


@pytest.mark.parametrize("probabilities", [False, True])
def test_specialist_begins_as_the_generalist(probabilities):
    layers = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 5), *([nn.Softmax(1)] if probabilities else [])]
    general = Teacher(nn.Sequential(*layers), (4,), "abcde", probabilities=probabilities)
    with torch.no_grad():  # classes outside the group that score alike: then the dustbin is exact
        general.last.weight[2:] = general.last.weight[2]
        general.last.bias[2:] = general.last.bias[2]
    made, x = specialist_of(general, [0, 1]), torch.randn(6, 4)
    assert torch.allclose(made.scores(x).softmax(1), collapse(general.scores(x), [0, 1]).softmax(1), atol=1e-5)
    assert made.classes == ("a", "b", "others") and general.last.weight.shape == (5, 8)
    assert not {id(p) for p in made.net.parameters()} & {id(p) for p in general.net.parameters()}


def test_top_classes_name_who_is_asked():
    general = Teacher(nn.Linear(2, 4), (2,), "abcd")
    asked = Combination(general, top=1)
    for group in ((0, 1), (2, 3)):
        asked.add(group, specialist_of(general, group), 0.3)
    x = torch.randn(50, 2)
    first = general.scores(x).argmax(1)
    p = general.scores(x).double().softmax(1)
    for m, group in enumerate(asked.groups):
        rows = torch.isin(first, torch.tensor(group))
        alone = combine(p[rows], [asked.answer(m, x[rows])], [group], torch.ones(int(rows.sum()), 1).bool())
        assert torch.allclose(asked.scores(x)[rows].exp().double(), alone, atol=1e-5)


@pytest.fixture(scope="module")
def fitted():
    return small(Specialists, epochs=8).fit(shifted_domains(seed=1)[0])


def test_student_learns_what_all_say_together(fitted):
    rows = shifted_domains(seed=2)[0]
    q = fitted.combined_scores(rows)
    assert q.shape == (rows.size, 3) and np.allclose(np.exp(q).sum(1), 1, atol=1e-5)
    assert (q.argmax(1) == rows.y).mean() >= 0.9
    assert np.array_equal(fitted.answers()["combined"](torch.from_numpy(rows.x)).numpy(), q)
    assert (fitted.scores(rows).argmax(1) == q.argmax(1)).mean() >= 0.9


def test_it_says_who_is_special(fitted):
    (special,) = fitted.specialists_
    assert len(special) == 2 and set(special) < set(CLASSES)
    own = np.isin(shifted_domains(seed=1)[0].y, [CLASSES.index(name) for name in special]).sum()
    assert fitted.combination_.corrections == [math.log((240 - own) / own)]


def test_two_classes_and_lonely_groups_are_refused():
    data = shifted_domains(seed=1)[0]
    with pytest.raises(SettingError, match="two classes"):
        two = Teacher(nn.Linear(8, 2), (8,), ("a", "b"))
        small(Specialists, teacher=two).fit(Domain(data.x, data.y % 2, classes=("a", "b"), name="data"))
    with pytest.raises(SettingError, match="leave every class alone; ask for fewer"):
        small(Specialists, groups=3).fit(data)
    with pytest.raises(DataError, match="no labelled rows outside the group"):
        group = small(Specialists).fit(data).specialists_[0]
        known = np.isin(data.y, [CLASSES.index(name) for name in group])
        small(Specialists).fit(Domain(data.x, data.y, known, CLASSES, name="data"))


def test_unlabelled_rows_reach_the_student():
    data = shifted_domains(seed=1)[0]
    few = Domain(data.x, data.y, np.arange(240) < 120, CLASSES, name="data")
    one = small(Specialists).fit(few).net_.state_dict()
    other = small(Specialists).fit(few.select(few.labelled)).net_.state_dict()
    assert not torch.equal(one["head.weight"], other["head.weight"])
    assert teacher().classes == CLASSES

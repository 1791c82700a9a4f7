"""The losses of the methods, against loops, NumPy and limits; and which way the gradients of two-player losses go."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from juyi.adapt import CDAN, MME, SHOT
from juyi.adapt.adamatch import MeanPredictions, aligned, ramp
from juyi.adapt.cdan import LIMIT, MultilinearMap
from juyi.adapt.deep_coral import coral_loss
from juyi.adapt.deep_jdot import transport_cost, transport_plan
from juyi.adapt.mcc import confusion_loss
from juyi.adapt.shot import information_losses, pseudo_labels
from juyi.check.common import shifted_domains
from juyi.data import withhold_labels
from juyi.losses import domain_loss, entropy, reversal_ramp
from juyi.losses.pseudo_labels import consistency_loss
from juyi.nets import TARGET, CosineHead, build_network
from juyi.training import Rows

QUIET = settings(max_examples=25, deadline=None)
CPU = torch.device("cpu")


def normal(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def softmax(row):
    parts = [math.exp(s - max(row)) for s in row]
    return [part / sum(parts) for part in parts]


def plain_entropy(p):
    return -sum(q * math.log(q) for q in p if q > 0)


# entropy


@QUIET
@given(st.lists(st.lists(st.floats(-9, 9), min_size=4, max_size=4), min_size=1, max_size=5))
def test_entropy_by_loops(rows):
    found = entropy(torch.tensor(rows, dtype=torch.float32).softmax(1))
    assert found.tolist() == pytest.approx([plain_entropy(softmax(row)) for row in rows], abs=1e-5)


def test_entropy_goes_from_certainty_to_none():
    assert entropy(torch.eye(3)).tolist() == [0, 0, 0]
    assert entropy(torch.full((7,), 1 / 7)).item() == pytest.approx(math.log(7))


def test_entropy_of_what_is_certain_has_a_finite_gradient():
    scores = torch.tensor([[0.0, 200.0], [1.0, 2.0]], requires_grad=True)
    entropy(scores.softmax(1)).mean().backward()
    assert torch.isfinite(scores.grad).all()


# MCC


def plain_confusion(scores, temperature):
    p = [softmax([s / temperature for s in row]) for row in scores]
    weight = [1 + math.exp(-plain_entropy(row)) for row in p]
    classes = range(len(p[0]))
    found = 0.0
    for j in classes:
        row = [sum(w * q[j] * q[k] for w, q in zip(weight, p, strict=True)) for k in classes]
        found += sum(row[k] for k in classes if k != j) / sum(row)
    return found / len(classes)


@QUIET
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(2, 5), st.floats(0.5, 5))
def test_confusion_by_loops(seed, n, classes, temperature):
    scores = normal(n, classes, seed=seed, scale=3)
    expected = plain_confusion(scores.tolist(), temperature)
    assert confusion_loss(scores, temperature).item() == pytest.approx(expected, abs=1e-5)
    assert 0 <= expected <= 1 - 1 / classes + 1e-6


def test_confusion_limits():
    for classes in (2, 5):
        assert confusion_loss(torch.zeros(3, classes)).item() == pytest.approx(1 - 1 / classes)
        assert confusion_loss(1e3 * torch.eye(classes)).item() < 1e-6
    scores = normal(6, 4)
    one = confusion_loss(scores)
    torch.testing.assert_close(confusion_loss(scores[:, [2, 0, 3, 1]]), one)  # classes have no order
    torch.testing.assert_close(confusion_loss(scores[torch.randperm(6)]), one)  # nor have rows
    torch.testing.assert_close(confusion_loss(2 * scores, 5.0), one)
    torch.testing.assert_close(confusion_loss(scores.repeat(3, 1)), one)


def test_no_gradient_goes_through_the_weights_of_the_confusion():
    scores = normal(5, 3, scale=2).requires_grad_()
    confusion_loss(scores).backward()
    other = scores.detach().double().requires_grad_()
    p = (other / 2.5).softmax(1)
    weight = 1 + torch.exp(-entropy(p)).detach()
    confusion = torch.stack([sum(w * q[j] * q for w, q in zip(weight, p, strict=True)) for j in range(3)])
    shares = confusion / confusion.sum(1, keepdim=True)
    ((shares.sum() - shares.trace()) / 3).backward()
    torch.testing.assert_close(scores.grad.double(), other.grad, atol=1e-6, rtol=1e-4)


def test_gradients_stay_finite_where_everything_is_certain():
    scores = (300 * torch.eye(3)).requires_grad_()
    confusion_loss(scores).backward()
    assert torch.isfinite(scores.grad).all()


# CDAN


def test_small_multilinear_maps_are_the_outer_product():
    join, f, p = MultilinearMap(3, 2, sketch=7), normal(4, 3), normal(4, 2, seed=1).softmax(1)
    found = join(f, p)
    assert join.width == 6 and not list(join.buffers())
    for row in range(4):
        assert found[row].tolist() == pytest.approx([(a * b).item() for a in f[row] for b in p[row]])


def test_large_multilinear_maps_have_the_inner_products_of_the_outer_products_in_expectation():
    assert not MultilinearMap(LIMIT // 4, 4, sketch=8).random
    width, outputs, sketch, maps = LIMIT // 4 + 1, 4, 32, 300
    f, p = normal(2, width) / width**0.5, normal(2, outputs, seed=1).softmax(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        joins = [MultilinearMap(width, outputs, sketch) for _ in range(maps)]
    assert joins[0].random and joins[0].width == sketch and joins[0](f, p).shape == (2, sketch)
    assert torch.equal(joins[0](f, p), joins[0](f, p))  # its matrices are fixed
    products = torch.stack([join(f, p) @ join(f, p).T for join in joins])
    expected = (f @ f.T) * (p @ p.T)
    error = products.std(0) / maps**0.5
    assert ((products.mean(0) - expected).abs() < 4 * error).all()
    assert (error < 0.05).all()


@QUIET
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(1, 2)), min_size=1, max_size=6))
def test_the_weighted_domain_loss_by_loops(rows):
    scores, weights = (torch.tensor(column) for column in zip(*rows, strict=True))
    total = sum(weight for _, weight in rows)
    of_source = sum(w * math.log1p(math.exp(-s)) for s, w in rows) / total
    of_target = sum(w * math.log1p(math.exp(s)) for s, w in rows) / total
    found = domain_loss(scores[:, None], scores, weights, weights).item()
    assert found == pytest.approx((of_source + of_target) / 2, rel=1e-4)
    plain = domain_loss(scores, scores)
    torch.testing.assert_close(domain_loss(scores, scores, torch.full_like(weights, 3.0)), plain)


def test_the_sum_of_the_weights_is_a_constant_to_the_gradient():
    scores, weight = normal(5), torch.rand(5).add(1).requires_grad_()
    domain_loss(scores, scores, weight).backward()
    torch.testing.assert_close(weight.grad, nn.functional.softplus(-scores) / weight.detach().sum() / 2)


def prepared(method, given=0, **settings):
    """A stage of the method on small data, a batch of it, and its network with batch norm fixed."""
    source, target = shifted_domains(rows=60)
    rows = Rows(source, CPU), Rows(withhold_labels(target, given), CPU)
    adapter = method(net="mlp", batch=12, epochs=1, **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_network("mlp", rows[0].x, 3, head=adapter.head)
        stage = next(adapter.stages(net, *rows))
    return net, stage, stage.over.batch((0, 0), 0, 0, 1)


def gradients(loss, module):
    return torch.autograd.grad(loss, list(module.parameters()), retain_graph=True)


def assert_times(found, factor, plain):
    for one, other in zip(found, plain, strict=True):
        torch.testing.assert_close(one, factor * other, atol=1e-6, rtol=1e-4)


def test_in_mme_the_head_raises_the_entropy_and_the_features_lower_it():
    net, stage, batch = prepared(MME, given=2, entropy_weight=0.3)
    assert isinstance(net.head, CosineHead) and batch.drawn < len(batch.target.x)
    loss = stage.turns[0].losses(batch, 0.5)["entropy"]
    plain = entropy(net(batch.target.x[: batch.drawn], TARGET).softmax(1)).mean()
    assert loss.item() == pytest.approx(-0.3 * plain.item())
    assert_times(gradients(loss, net.head), -0.3, gradients(plain, net.head))
    assert_times(gradients(loss, net.body), 0.3, gradients(plain, net.body))
    before = plain.item()
    for part, raises in ((net.head, True), (net.body, False)):  # a small step of descent, one part at a time
        changes = gradients(stage.turns[0].losses(batch, 0.5)["entropy"], part)
        with torch.no_grad():
            for weight, change in zip(part.parameters(), changes, strict=True):
                weight.sub_(0.01 * change)
            after = entropy(net(batch.target.x[: batch.drawn], TARGET).softmax(1)).mean().item()
            for weight, change in zip(part.parameters(), changes, strict=True):
                weight.add_(0.01 * change)
        assert (after > before) == raises


@pytest.mark.parametrize("progress", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("condition", [True, False])
def test_in_cdan_the_critic_learns_and_all_before_it_unlearns(progress, condition):
    net, stage, batch = prepared(CDAN, reversal=0.7, condition_entropy=condition)
    (join,), (_, critic) = stage.keeps, stage.turns[0].trains
    loss = stage.turns[0].losses(batch, progress)["domain"]

    found = []
    for x in (batch.source.x, batch.target.x[: batch.drawn]):
        z = net.features(x)
        p = net.head(z).softmax(1)
        found.append((critic(join(z, p.detach())), 1 + torch.exp(-entropy(p)) if condition else None))
    (score_s, weight_s), (score_t, weight_t) = found
    plain = domain_loss(score_s, score_t, weight_s, weight_t)

    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    assert_times(gradients(loss, critic), 1.0, gradients(plain, critic))
    strength = -0.7 * reversal_ramp(progress)
    assert_times(gradients(loss, net.body), strength, gradients(plain, net.body))
    if condition:  # through the weights alone: the predictions in the product are fixed
        assert_times(gradients(loss, net.head), strength, gradients(plain, net.head))
    else:
        assert all(g is None for g in torch.autograd.grad(loss, list(net.head.parameters()), allow_unused=True))


# Deep CORAL


@QUIET
@given(st.integers(0, 2**31), st.integers(2, 9), st.integers(2, 9), st.integers(2, 5))
def test_coral_is_numpys(seed, n, m, width):
    source, target = normal(n, width, seed=seed), normal(m, width, seed=seed + 1, scale=2)
    gap = np.cov(source.double().numpy(), rowvar=False) - np.cov(target.double().numpy(), rowvar=False)
    expected = (gap**2).sum() / (4 * width**2)
    assert coral_loss(source, target).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_coral_sees_no_mean_and_grows_with_the_fourth_power():
    source, target = normal(20, 3), normal(30, 3, seed=1)
    one = coral_loss(source, target)
    torch.testing.assert_close(coral_loss(source + 5, target - 2), one, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(coral_loss(2 * source, 2 * target), 16 * one)
    torch.testing.assert_close(coral_loss(target, source), one)
    assert coral_loss(source, source + 1).item() < 1e-9


# DeepJDOT


@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 2), (40, 33)])
def test_transport_cost_by_loops(n, m):
    z_source, z_target, scores = normal(n, 4), normal(m, 4, seed=1), normal(m, 3, seed=2)
    y = torch.arange(n) % 3
    found = transport_cost(z_source, z_target, y, scores, alpha=0.7, weight=1.3)
    for i, j in itertools.product(range(n), range(m)):
        distance = sum((a - b) ** 2 for a, b in zip(z_source[i].tolist(), z_target[j].tolist(), strict=True)) / 4
        wrong = -math.log(softmax(scores[j].tolist())[y[i]])
        assert found[i, j].item() == pytest.approx(0.7 * distance + 1.3 * wrong, rel=1e-3, abs=1e-4)


def test_the_cost_of_rows_that_lie_on_one_another_has_a_finite_gradient():
    z = normal(64, 8).requires_grad_()
    transport_cost(z, z, torch.zeros(64, dtype=torch.int64), normal(64, 2), 1.0, 1.0).sum().backward()
    assert torch.isfinite(z.grad).all()


@QUIET
@given(st.integers(0, 2**31), st.integers(1, 5))
def test_the_plan_is_the_best_of_all_permutations(seed, n):
    cost = normal(n, n, seed=seed) - 5 * (seed % 2)
    best = min(sum(cost[i, j].item() for i, j in enumerate(order)) for order in itertools.permutations(range(n))) / n
    assert (transport_plan(cost) * cost).sum().item() == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize(("n", "m"), [(6, 6), (4, 7), (9, 2)])
def test_the_plan_moves_even_masses_and_has_no_gradient(n, m):
    cost = normal(n, m).requires_grad_()
    plan = transport_plan(cost)
    assert plan.dtype == torch.float32 and not plan.requires_grad and (plan >= 0).all()
    torch.testing.assert_close(plan.sum(1), torch.full((n,), 1 / n))
    torch.testing.assert_close(plan.sum(0), torch.full((m,), 1 / m))
    (plan * cost).sum().backward()
    torch.testing.assert_close(cost.grad, plan)


def test_the_plan_finds_who_was_moved():
    z, order = normal(8, 3, scale=9), torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    plan = transport_plan(transport_cost(z, z[order], torch.zeros(8, dtype=torch.int64), torch.zeros(8, 2), 1.0, 1.0))
    assert torch.equal(plan.argmax(0), order)


# AdaMatch


@QUIET
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(2, 4))
def test_aligned_predictions_by_loops(seed, n, classes):
    p = normal(n, classes, seed=seed).softmax(1)
    source, target = normal(2, classes, seed=seed + 1).softmax(1)
    found = aligned(p, source, target)
    for row, other in zip(p.tolist(), found.tolist(), strict=True):
        moved = [q * s / t for q, s, t in zip(row, source.tolist(), target.tolist(), strict=True)]
        assert other == pytest.approx([part / sum(moved) for part in moved], rel=1e-4)
    torch.testing.assert_close(aligned(p, source, source), p)


@QUIET
@given(st.integers(0, 2**31), st.integers(1, 6), st.floats(0, 1))
def test_consistency_by_loops(seed, n, threshold):
    pseudo, strong = normal(n, 3, seed=seed, scale=2).softmax(1), normal(n, 3, seed=seed + 1)
    found = 0.0
    for q, scores in zip(pseudo.tolist(), strong.tolist(), strict=True):
        if max(q) >= np.float32(threshold):
            found -= math.log(softmax(scores)[q.index(max(q))])
    assert consistency_loss(pseudo, strong, torch.tensor(threshold)).item() == pytest.approx(found / n, abs=1e-5)


def test_only_strong_views_of_what_is_sure_are_taught():
    pseudo = torch.tensor([[0.9, 0.1], [0.6, 0.4]], requires_grad=True)
    strong = torch.zeros(2, 2, requires_grad=True)
    loss = consistency_loss(pseudo, strong, torch.tensor(0.8))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2) / 2)
    assert pseudo.grad is None
    assert strong.grad[0, 0] < 0 < strong.grad[0, 1] and (strong.grad[1] == 0).all()
    assert consistency_loss(pseudo, strong, torch.tensor(0.95)).item() == 0


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_ramp_rises_over_the_first_half(one, other):
    low, high = sorted((one, other))
    assert 0 <= ramp(low) <= ramp(high) <= 1
    assert ramp(one) == pytest.approx(math.sin(math.pi * min(one, 0.5)) ** 2, abs=1e-9)


def test_mean_predictions_are_a_moving_average_that_begins_even():
    means = MeanPredictions(4, momentum=0.2)
    assert means.source.tolist() == means.target.tolist() == [0.25] * 4
    p, q = normal(5, 4).softmax(1), normal(7, 4, seed=1).softmax(1)
    for _ in range(3):
        means.update(p, q)
    torch.testing.assert_close(means.source, 0.8**3 * torch.full((4,), 0.25) + (1 - 0.8**3) * p.mean(0))
    torch.testing.assert_close(means.target, 0.8**3 * torch.full((4,), 0.25) + (1 - 0.8**3) * q.mean(0))
    assert {*means.state_dict()} == {"source", "target"}


# SHOT


@QUIET
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(2, 5))
def test_information_losses_by_loops(seed, n, classes):
    scores = normal(n, classes, seed=seed, scale=3)
    p = [softmax(row) for row in scores.tolist()]
    certain, various = information_losses(scores)
    assert certain.item() == pytest.approx(sum(map(plain_entropy, p)) / n, abs=1e-5)
    mean = [sum(column) / n for column in zip(*p, strict=True)]
    assert various.item() == pytest.approx(plain_entropy(mean), abs=1e-5)
    assert certain <= various + 1e-5  # entropy is concave


def plain_pseudo_labels(features, scores, rounds):
    n, classes = scores.shape
    f = np.array([[*row, 1.0] for row in features])
    f = np.array([row / np.linalg.norm(row) for row in f])
    p = np.array([softmax(row) for row in scores.tolist()])
    alive, label = [True] * classes, []
    for _ in range(rounds):
        centroids = [
            sum(p[i, k] * f[i] for i in range(n)) / p[:, k].sum() if alive[k] else None for k in range(classes)
        ]
        label = []
        for i in range(n):
            near = [-2.0 if c is None else f[i] @ c / np.linalg.norm(c) for c in centroids]
            label.append(int(np.argmax(near)))
        p = np.eye(classes)[label]
        alive = [k in label for k in range(classes)]
    return label


@QUIET
@given(st.integers(0, 2**31), st.integers(2, 8), st.integers(2, 5), st.integers(1, 3))
def test_pseudo_labels_by_loops(seed, n, classes, rounds):
    random = np.random.default_rng(seed)
    features, scores = random.normal(size=(n, 3)), 2 * random.normal(size=(n, classes))
    found = pseudo_labels(torch.from_numpy(features), torch.from_numpy(scores), rounds)
    assert found.tolist() == plain_pseudo_labels(features, scores, rounds)


def test_a_class_that_lost_all_its_rows_is_never_chosen_again():
    alone = 0
    for seed in range(30):
        z, scores = normal(6, 2, seed=seed), normal(6, 5, seed=seed + 100, scale=2)
        before = {*range(5)}
        for rounds in range(1, 5):
            after = {*pseudo_labels(z, scores, rounds).tolist()}
            assert after <= before
            before = after
        alone += len(before) < 5
    assert alone > 20


def test_pseudo_labels_follow_the_features_where_the_head_is_wrong():
    z = torch.cat([normal(20, 4, scale=0.1) + 3 * torch.eye(4)[k] for k in range(2)])
    scores = torch.zeros(40, 2)
    scores[:20, 0], scores[20:, 1] = 2.0, 2.0
    scores[[3, 25]] = -scores[[3, 25]] + 2
    assert pseudo_labels(z, scores).tolist() == [0] * 20 + [1] * 20


class Dropping(nn.Module):
    """A network of one's own whose head has dropout and batch norm."""

    def __init__(self):
        super().__init__()
        self.body, self.width = nn.Linear(8, 6), 6
        self.head = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.9), nn.Linear(6, 3))


def test_in_shot_the_head_guesses_as_it_serves():
    """Its dropout used to be on, and its batch norm to learn, at the first guess after the source was learnt."""
    source, target = shifted_domains(rows=60)
    rows = Rows(withhold_labels(target), CPU)
    net = build_network(Dropping(), torch.from_numpy(source.x), 3).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    step = next(SHOT(net=Dropping(), batch=12, epochs=1).stages(net, None, rows))
    guessed, steps = step.keeps
    found = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            steps.zero_()
            step.function()
        found.append(guessed.clone())
    assert torch.equal(*found)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


# Cosine head


def test_cosine_scores_by_loops():
    head, z = CosineHead(4, 3, temperature=0.1), normal(5, 4)
    weight = head.linear.weight.tolist()
    for row, scores in zip(z.tolist(), head(z).tolist(), strict=True):
        length = math.sqrt(sum(a * a for a in row))
        expected = [sum(a * b for a, b in zip(row, column, strict=True)) / length / 0.1 for column in weight]
        assert scores == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert [name for name, _ in head.named_parameters()] == ["linear.weight"]


def test_cosine_scores_see_the_direction_alone():
    head, z = CosineHead(4, 3), normal(5, 4)
    torch.testing.assert_close(head(1e-3 * z), head(1e3 * z), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(head(-z), -head(z))
    z = torch.zeros(2, 4, requires_grad=True)
    head(z).square().sum().backward()
    assert torch.isfinite(z.grad).all()

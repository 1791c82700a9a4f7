"""Each algorithm against a slow reference of a few lines of numpy, and the limits in which one is another.

The network is two linear layers, φ(x) = A x + a and h(f) = B f + b, in one vector (A, a, B, b).  A batch holds all rows
of a client, so a pass is one step.
"""

import numpy as np
import pytest
import torch
from torch import nn

from juyi.data import Domain
from juyi.errors import SettingError
from juyi.personalize import (
    APFL,
    METHODS,
    Ditto,
    FedALA,
    FedAvg,
    FedAvgFT,
    FedBABU,
    FedBN,
    FedDBE,
    FedPer,
    FedProto,
    FedProx,
    FedRep,
    KNNPer,
    Local,
    Scaffold,
)
from juyi.personalize.client import ClientRows
from juyi.personalize.simulation import federation_of
from juyi.training import Rows

CPU = torch.device("cpu")
SIZES, D, WIDTH, CLASSES = (6, 11, 20), 5, 4, 3
RATE, MOMENTUM, EPOCHS = 0.2, 0.9, 2
HEAD = WIDTH * D + WIDTH
"""Where the head begins in the vector."""


class Two(nn.Module):
    """Two linear layers."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.body, self.head, self.width = nn.Linear(D, WIDTH), nn.Linear(WIDTH, CLASSES), WIDTH


def rows_of(size, seed, classes=CLASSES):
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, size)
    x = random.normal(size=(size, D)) + np.eye(CLASSES, D)[y]
    return Domain(x.astype(np.float32), y, classes=("a", "b", "c"), name="rows")


def federation(method, sizes=SIZES, alike=False, net=None, classes=None):
    """Clients with these numbers of rows, before the first round; and what each has, as the network sees it."""
    seeds = [1 if alike else k + 1 for k in range(len(sizes))]
    made = [rows_of(n, s, (classes or {}).get(k, CLASSES)) for k, (n, s) in enumerate(zip(sizes, seeds, strict=True))]
    every = Domain(np.concatenate([one.x for one in made]), classes=("a", "b", "c"), name="every")
    method.set_params(
        net=net or Two(), batch=64, learning_rate=RATE, epochs=EPOCHS, precision="float32", device="cpu", rounds=4
    )
    clients = [ClientRows(f"client {k}", Rows(one, CPU), Rows(rows_of(15, 50 + k), CPU)) for k, one in enumerate(made)]
    found = federation_of(method, clients, every, CPU)
    with torch.no_grad():
        data = [(found.model.net.standardise(one.rows.x).double().numpy(), one.rows.y.numpy()) for one in clients]
    return found, data, found.beginning.double().numpy()


def after(method, rounds=2, **more):
    """A federation after some rounds."""
    found, data, w = federation(method, **more)
    for _ in range(rounds):
        found.next_round()
    return found, data, w


def layers(w):
    a = WIDTH * D
    return w[:a].reshape(WIDTH, D), w[a:HEAD], w[HEAD : HEAD + CLASSES * WIDTH].reshape(CLASSES, WIDTH), w[-CLASSES:]


def features(w, x):
    weight, bias, _, _ = layers(w)
    return x @ weight.T + bias


def gradient(w, x, y, add=0.0, pulled=None):
    """Of the mean cross-entropy of h(φ(x) + add), and of a function whose gradient in the features is `pulled`."""
    _, _, head, c = layers(w)
    f = features(w, x) + add
    scores = f @ head.T + c
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[range(len(y)), y] -= 1
    p /= len(y)
    at = p @ head + (0.0 if pulled is None else pulled(f - add))
    found = np.concatenate([(at.T @ x).ravel(), at.sum(0), (p.T @ f).ravel(), p.sum(0)])
    return found, (p @ head).sum(0)


def sgd(w, data, steps=EPOCHS, momentum=MOMENTUM, rate=RATE, only=slice(None), extra=lambda w: 0.0, **more):
    """Steps of gradient descent with momentum, on a part of the vector."""
    w, velocity = w.copy(), 0.0
    for _ in range(steps):
        velocity = momentum * velocity + gradient(w, *data, **more)[0] + extra(w)
        w[only] -= rate * velocity[only]
    return w


BODY, HEADS = slice(0, HEAD), slice(HEAD, None)


def mean(values):
    return sum(n * value for n, value in zip(SIZES, values, strict=True)) / sum(SIZES)


def near(found, expected, tolerance=2e-5):
    found = np.asarray(found, float)
    assert found.shape == np.shape(expected) and np.abs(found - expected).max() < tolerance, (found, expected)


def test_the_reference_has_the_gradient_of_the_network():
    found, data, w = federation(FedAvg())
    for k, one in enumerate(data):
        near(found.client(k).gradient(), gradient(w, *one)[0], 1e-6)


def test_fedavg():
    found, data, w = after(FedAvg())
    for _ in range(2):
        w = mean([sgd(w, one) for one in data])
    near(found.shared["model"], w)


@pytest.mark.parametrize("proximity", [0.7, 3.0])
def test_fedprox(proximity):
    found, data, w = after(FedProx(proximity=proximity))
    for _ in range(2):
        w = mean([sgd(w, one, extra=lambda v, w=w: proximity * (v - w)) for one in data])
    near(found.shared["model"], w)


@pytest.mark.parametrize("server_rate", [1.0, 0.5])
def test_scaffold(server_rate):
    found, data, w = after(Scaffold(server_rate=server_rate), rounds=3)
    c, own = np.zeros_like(w), [np.zeros_like(w) for _ in data]
    for _ in range(3):
        y = [sgd(w, one, momentum=0.0, extra=lambda _, s=c, o=own[k]: s - o) for k, one in enumerate(data)]
        new = [own[k] - c + (w - y[k]) / (EPOCHS * RATE) for k in range(3)]
        w = w + server_rate * sum(one - w for one in y) / 3
        c, own = c + sum(n - o for n, o in zip(new, own, strict=True)) / 3, new
    near(found.shared["model"], w)
    near(found.shared["control"], c)
    near(found.own[1]["control"], own[1])


def test_scaffold_where_some_took_part():
    """c moves by |S| / N times the mean change; that of who did not take part stays."""
    found, data, w = federation(Scaffold(participation=0.67))
    takes = [[number for number, *_ in found.participants(r)] for r in range(3)]
    assert len({tuple(some) for some in takes}) > 1 and all(len(some) == 2 for some in takes)
    c, own = np.zeros_like(w), [np.zeros_like(w) for _ in data]
    for some in takes:
        found.next_round()
        y = {k: sgd(w, data[k], momentum=0.0, extra=lambda _, s=c, o=own[k]: s - o) for k in some}
        change = {k: (w - y[k]) / (EPOCHS * RATE) - c for k in some}
        w, c = w + sum(y[k] - w for k in some) / 2, c + sum(change.values()) / 3
        own = [own[k] + change.get(k, 0.0) for k in range(3)]
    near(found.shared["model"], w)
    near(found.shared["control"], c)


def test_fedper():
    found, data, w = after(FedPer())
    own = [w.copy() for _ in data]
    for _ in range(2):
        own = [sgd(one, some) for one, some in zip(own, data, strict=True)]
        body = mean(own)[BODY]
        own = [np.concatenate([body, one[HEADS]]) for one in own]
    near(found.shared["body"], body)
    for k in range(3):
        near(model_of(found, k), own[k])


def test_fedrep():
    found, data, w = after(FedRep(head_epochs=3))
    own = [w.copy() for _ in data]
    for _ in range(2):
        own = [sgd(sgd(one, some, 3, only=HEADS), some, only=BODY) for one, some in zip(own, data, strict=True)]
        body = mean(own)[BODY]
        own = [np.concatenate([body, one[HEADS]]) for one in own]
    for k in range(3):
        near(model_of(found, k), own[k])


@pytest.mark.parametrize(("tunes", "only"), [("all", slice(None)), ("head", HEADS)])
def test_fedbabu(tunes, only):
    found, data, w = after(FedBABU(tuning_epochs=3, tunes=tunes))
    for _ in range(2):
        w = mean([sgd(w, one, only=BODY) for one in data])
    near(found.shared["body"], w[BODY])
    near(model_of(found, 2), sgd(w, data[2], 3, only=only))


@pytest.mark.parametrize("proximity", [0.1, 2.0])
def test_ditto(proximity):
    found, data, w = after(Ditto(proximity=proximity))
    own = [w.copy() for _ in data]
    for _ in range(2):
        own = [sgd(v, one, extra=lambda v, w=w: proximity * (v - w)) for v, one in zip(own, data, strict=True)]
        w = mean([sgd(w, one) for one in data])
    near(found.shared["model"], w)
    for k in range(3):
        near(model_of(found, k), own[k])


@pytest.mark.parametrize("adaptive", [True, False])
def test_apfl(adaptive):
    """Written in v, with the chain rule, where the method moves the mixture."""
    found, data, w = after(APFL(mixture=0.4, adaptive=adaptive))
    own, alphas = [w.copy() for _ in data], [0.4] * 3
    for _ in range(2):
        local = [sgd(w, one) for one in data]
        for k, one in enumerate(data):
            alpha, v, w_k = alphas[k], own[k], local[k]
            if adaptive:
                slope = np.dot(v - w_k, gradient(alpha * v + (1 - alpha) * w_k, *one)[0])
                alpha = min(1.0, max(0.0, alpha - RATE * slope))
            velocity = 0.0
            for _ in range(EPOCHS):
                velocity = MOMENTUM * velocity + alpha * gradient(alpha * v + (1 - alpha) * w_k, *one)[0]
                v = v - RATE * velocity
            own[k], alphas[k] = v, alpha
        w = mean(local)
    assert not adaptive or all(alpha != 0.4 for alpha in alphas)
    near(found.shared["model"], w)
    for k in range(3):
        near(found.own[k]["alpha"], alphas[k])
        near(found.own[k]["personal"], own[k], 1e-4)  # divided by α
        near(model_of(found, k), alphas[k] * own[k] + (1 - alphas[k]) * w)


def test_fedproto():
    """A client has no row of one class; classes count as they have rows; the loss pulls each row to its class."""
    found, data, w = after(FedProto(pull=1.5), classes={0: 2})
    assert set(data[0][1]) == {0, 1}
    own, prototypes = [w.copy() for _ in data], None
    for _ in range(2):
        for k, (x, y) in enumerate(data):

            def pulled(f, y=y, at=prototypes):
                return 0.0 if at is None else 2 * 1.5 / WIDTH * (f - at[y]) / len(y)

            own[k] = sgd(own[k], (x, y), pulled=pulled)
        told = [(features(own[k], x)[y == c], n) for c in range(3) for k, (x, y) in enumerate(data) for n in [c]]
        prototypes = np.stack([np.concatenate([f for f, n in told if n == c]).mean(0) for c in range(3)])
    near(found.shared["prototypes"], prototypes)
    for k in range(3):
        near(model_of(found, k), own[k])
    asked = found.clients[1].held_out
    z = found.model.net.standardise(asked.x).double().numpy()
    apart = ((features(own[1], z)[:, None] - prototypes[None]) ** 2).sum(2)
    near(found.scores(1, asked), -apart, 1e-3)


def test_a_class_that_nobody_has_shown_is_never_told():
    found, _, _ = after(FedProto(), classes=dict.fromkeys(range(3), 2))
    assert (found.scores(0, found.clients[0].held_out)[:, 2] == -np.inf).all()


def test_feddbe():
    found, data, w = after(FedDBE(regularisation=3.0, mean_share=0.3))
    goal = mean([features(w, x).mean(0) for x, _ in data])
    add = [np.zeros(WIDTH) for _ in data]
    for number in range(2):
        sent = []
        for k, (x, y) in enumerate(data):
            v, running, velocity, speed = w.copy(), goal.copy(), 0.0, 0.0
            for _ in range(EPOCHS):
                held = 0.7 * running + 0.3 * features(v, x).mean(0)
                pull = 3.0 * 2 / WIDTH * (held - goal) * 0.3 / len(y) if number else np.zeros(WIDTH)
                g, at = gradient(v, x, y, add[k], lambda f, pull=pull: np.broadcast_to(pull, f.shape))
                running, velocity, speed = held, MOMENTUM * velocity + g, MOMENTUM * speed + at
                v, add[k] = v - RATE * velocity, add[k] - RATE * speed
            sent.append(v)
        w = mean(sent)
    near(found.shared["mean"], goal)
    near(found.shared["model"], w)
    near(found.own[2]["bias"], add[2])


@pytest.mark.parametrize("net", ["linear", "mlp-7", "two"])
def test_the_bias_of_feddbe_is_folded_into_the_head(net):
    found, _, _ = after(FedDBE(batch_norm="none"), net=Two() if net == "two" else net)
    client = found.client(1)
    asked = client.held_out
    client.load(found.shared["model"])
    with torch.no_grad():
        expected = found.model.net.head(client.features(asked) + found.own[1]["bias"])
    assert found.own[1]["bias"].abs().max() > 1e-3
    near(found.scores(1, asked), expected.numpy(), 1e-5)


def test_fedala():
    """W_i learns on all rows of the client, in several passes the first time, then in one; it is cut to 0 … 1."""
    found, data, w = after(FedALA(mixing_share=1.0, mixing_rate=30.0, first_passes=4), rounds=3)
    own, mixtures = [None] * 3, [None] * 3
    for _ in range(3):
        for k, (x, y) in enumerate(data):
            theta = w.copy()
            if own[k] is not None:
                apart, before = (w - own[k])[HEADS], np.inf
                mixture = np.ones_like(apart) if mixtures[k] is None else mixtures[k]
                for _ in range(4 if mixtures[k] is None else 1):
                    theta[HEADS] = own[k][HEADS] + apart * np.clip(mixture, 0, 1)
                    loss = cross_entropy(theta, x, y)
                    mixture = np.clip(mixture, 0, 1) - 30.0 * gradient(theta, x, y)[0][HEADS] * apart
                    if abs(before - loss) < 0.01:
                        break
                    before = loss
                mixtures[k] = np.clip(mixture, 0, 1)
                theta[HEADS] = own[k][HEADS] + apart * mixtures[k]
            own[k] = sgd(theta, (x, y))
        w = mean(own)
    assert all(0 < mixture.min() < 1 or mixture.min() == 0 for mixture in mixtures)
    near(found.shared["model"], w)
    for k in range(3):
        near(found.own[k]["mixture"], mixtures[k], 1e-3)
        near(model_of(found, k), own[k])


def cross_entropy(w, x, y):
    _, _, head, c = layers(w)
    scores = features(w, x) @ head.T + c
    return float((np.log(np.exp(scores).sum(1)) - scores[range(len(y)), y]).mean())


def test_fedavg_ft_tunes_and_goes_back_where_that_is_worse():
    found, data, _ = after(FedAvgFT(tuning_epochs=9))
    w = found.shared["model"].double().numpy()
    client = found.client(0)
    client.load(found.shared["model"])  # whose held-out rows are told by the general model, all of them
    held_out = client.held_out.with_labels(client.scores(client.held_out).argmax(1))
    found.clients = [ClientRows("a", client.rows, held_out), *found.clients[1:]]
    kept = 0
    for k, one in enumerate(data):
        tuned, asked = sgd(w, one, 9), found.clients[k].held_out
        z, y = found.model.net.standardise(asked.x).double().numpy(), asked.y.numpy()
        right = [(features(v, z) @ layers(v)[2].T + layers(v)[3]).argmax(1) == y for v in (w, tuned)]
        kept += right[1].mean() < right[0].mean()
        near(model_of(found, k), w if right[1].mean() < right[0].mean() else tuned)
    assert 0 < kept < 3  # both are seen


def test_knn_per():
    found, _, _ = after(KNNPer(neighbours=3))
    for k in range(3):
        client, asked = found.client(k), found.clients[k].held_out
        client.load(found.shared["model"])
        known, y, truth = client.features().numpy(), client.rows.y.numpy(), asked.y.numpy()
        apart = ((known[:, None] - known[None]) ** 2).sum(2) + np.diag(np.full(len(y), np.inf))
        scale = apart.min(1).mean()
        votes = np.zeros((len(truth), CLASSES))
        for row, f in enumerate(client.features(asked).numpy()):
            distances = ((known - f) ** 2).sum(1)
            for j in np.argsort(distances)[:3]:
                votes[row, y[j]] += np.exp(-(distances[j] - distances.min()) / scale)
        votes /= votes.sum(1, keepdims=True)
        general = client.scores(asked).softmax(1).numpy()
        mixed = {share: share * votes + (1 - share) * general for share in np.arange(11) / 10}
        best = max(mixed, key=lambda share: (mixed[share].argmax(1) == truth).mean())
        near(found.scores(k, asked).exp(), mixed[best], 1e-4)


def model_of(found, number):
    """The model of a client, in one vector."""
    found.place(found.client(number))
    return found.model.copy("all")


# Limits, in which one method is another.


def test_without_proximity_fedprox_is_fedavg_and_ditto_is_fedavg_and_learning_alone():
    general = after(FedAvg())[0].shared["model"]
    assert torch.equal(after(FedProx(proximity=0.0))[0].shared["model"], general)
    ditto, local = after(Ditto(proximity=0.0))[0], after(Local())[0]
    assert torch.equal(ditto.shared["model"], general)
    for k in range(3):
        near(model_of(ditto, k), model_of(local, k).numpy(), 1e-5)


def test_strong_proximity_keeps_ditto_at_the_general_model():
    """Each step of λ η ‖v − w‖ goes to w, so λ = 1 / η is as near as it gets."""
    far, close = (after(Ditto(proximity=p, momentum=0.0), rounds=4)[0] for p in (0.01, 1 / RATE))
    apart = [max(float((model_of(f, k) - f.shared["model"]).norm()) for k in range(3)) for f in (far, close)]
    assert apart[1] < apart[0] / 2


@pytest.mark.parametrize("method", [FedAvg, FedPer, Local, FedProx])
def test_one_client_alone_is_plain_gradient_descent(method):
    found, data, w = after(method(**({"proximity": 0.0} if method is FedProx else {})), sizes=(9,), rounds=3)
    for _ in range(3):
        w = sgd(w, data[0])  # the momentum does not survive a round
    near(model_of(found, 0), w)


@pytest.mark.parametrize("method", [FedAvg, FedPer, FedRep, FedDBE, Ditto])
def test_clients_that_are_all_alike_are_one(method):
    several, alone = (after(method(), sizes=sizes, alike=True)[0] for sizes in ((9, 9, 9), (9,)))
    for k in range(3):
        near(model_of(several, k), model_of(alone, 0).numpy())


def test_scaffold_with_clients_that_are_alike_is_fedavg():
    one = after(Scaffold(), sizes=(9, 9, 9), alike=True)[0]
    other = after(FedAvg(momentum=0.0), sizes=(9, 9, 9), alike=True)[0]
    near(one.shared["model"], other.shared["model"].numpy())


def test_a_mixture_of_its_own_model_alone_is_learning_alone():
    apfl, local = after(APFL(mixture=1.0, adaptive=False))[0], after(Local())[0]
    for k in range(3):
        near(model_of(apfl, k), model_of(local, k).numpy())


def test_knn_leaves_the_general_model_alone_where_that_is_right():
    found, _, _ = federation(KNNPer())
    client = found.client(2)
    client.load(found.shared["model"])
    told = client.scores(client.held_out).argmax(1)
    found.clients = [*found.clients[:2], ClientRows("c", client.rows, client.held_out.with_labels(told))]
    near(found.scores(2, client.rows).exp(), client.scores(client.rows).softmax(1).numpy(), 1e-6)


def test_fedbn_without_batch_norm_is_refused():
    with pytest.raises(SettingError, match="no batch norm"):
        federation(FedBN())


def test_fedbn_shares_all_but_batch_norm():
    found, _, _ = after(FedBN(), net="mlp-6", rounds=2)
    models = [model_of(found, k) for k in range(3)]
    norm = len(found.model["norm"])
    assert norm == 6 * 4  # mean, variance, scale, shift
    assert all(torch.equal(one[norm:], found.shared["rest"]) for one in models)
    for part in (slice(0, 6), slice(6, 12), slice(12, 18), slice(18, 24)):
        assert not torch.equal(models[0][part], models[1][part])


@pytest.mark.parametrize("name", ["fedper", "fedrep", "fedbabu"])
def test_a_body_without_weights_is_refused_where_it_would_be_shared(name):
    with pytest.raises(SettingError, match=f"{name}: linear has no weights to share"):
        federation(METHODS[name](), net="linear")


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"auto", "fedper", "fedrep", "fedbabu", "fedbn"}))
def test_a_linear_network_does_where_nothing_forbids_it(name):
    found, _, _ = after(METHODS[name](), net="linear")
    assert torch.isfinite(found.scores(0, found.clients[0].held_out)).all()

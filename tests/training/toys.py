"""Small data, networks and methods with which the tests of training learn in milliseconds."""

import copy

import numpy as np
import torch
from torch import nn

from juyi.data import Domain
from juyi.losses import domain_loss, label_loss
from juyi.nets import build_network
from juyi.training import Optimiser, Pairs, Rows, Single, Stage, Step, Turn, label_losses

CPU = torch.device("cpu")


def domain(rows=48, seed=0, labelled=None, shape=(3, 8, 8), classes=3, name="toy"):
    """Noise images whose class shows as a bright band."""
    random = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    x = random.integers(0, 120, (rows, *shape))
    for row, code in enumerate(y):
        x[row, :, code :: classes + 1] += 100
    return Domain(x.astype(np.uint8), y, labelled, tuple("abcdefg"[:classes]), name=name)


def table(rows=30, seed=0, labelled=None, columns=4):
    random = np.random.default_rng(seed)
    y = np.arange(rows) % 2
    return Domain((random.normal(size=(rows, columns)) + y[:, None]).astype(np.float32), y, labelled, ("a", "b"))


class Conv(nn.Module):
    """A convolution whose layout in memory matters, with batch norm or without."""

    def __init__(self, norm=True, outputs=3):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3),
            nn.BatchNorm2d(6) if norm else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(6, 4, 3),
            nn.Flatten(),
        )
        self.head = nn.Linear(64, outputs)
        self.width = 64


def network(data, norm=True, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build_network(Conv(norm), torch.from_numpy(data.x), 3)
    return net.to(memory_format=torch.channels_last)


class Memory:
    """Anything with a state dict: empty when made, and larger later; a counter beside it."""

    def __init__(self):
        self.bank = torch.zeros(0)
        self.seen = 0
        self.extra = {}

    def state_dict(self):
        return {"bank": self.bank, "seen": self.seen, **self.extra}

    def load_state_dict(self, stored):
        self.bank, self.seen = stored["bank"], stored["seen"]
        self.extra = {k: v for k, v in stored.items() if k not in ("bank", "seen")}


def two_stages(source, target, tick=lambda: None, epochs=2, batch=8, averaging=True):
    """A method with everything that can go wrong: two stages, a step between, two turns, dropout, batch norm, keeps."""
    source, target = Rows(source, CPU), Rows(target, CPU)

    def stages(net):
        tick()

        def supervised(batch, progress):
            tick()
            return label_losses(net, batch)

        recipe = Optimiser("sgd", 0.05, schedule="inverse")
        yield Stage("source", Pairs(source, target, batch, unlabelled=False), [Turn(supervised, [net], recipe)], epochs)
        tick()
        centres = Memory()

        def find_centres():
            tick()
            net.eval()
            with torch.no_grad():
                z = net.features(source.x)
            centres.bank = torch.stack([z[source.y == c].mean(0) for c in range(3)]) + 0.01 * torch.randn(3, net.width)
            centres.extra["late"] = torch.rand(2)

        yield Step("centres", find_centres, keeps=[centres])
        tick()
        adapted = copy.deepcopy(net)
        critic = nn.Sequential(nn.Linear(net.width, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1))
        average = Memory()

        def critic_losses(batch, progress):
            tick()
            z = adapted.features(batch.target.x).detach()
            if averaging:  # of this process's rows
                average.bank = z.mean(0) if average.seen == 0 else 0.9 * average.bank + 0.1 * z.mean(0)
            average.seen += 1
            return {"domain": domain_loss(critic(net.features(batch.source.x)), critic(z))}

        def encoder_losses(batch, progress):
            z = adapted.features(batch.target.x)
            pull = (z.mean(0) - centres.bank.mean(0) + 0.1 * average.bank.sum()).square().mean()
            noise = torch.randn(())
            return {"fooling": domain_loss(-critic(z), critic(z)), "pull": pull * (1 + 0.1 * noise)}

        adam = Optimiser("adam", 2e-3, momentum=0.5)
        yield Stage(
            "adapt",
            Pairs(source, target, batch),
            [Turn(critic_losses, [critic], adam), Turn(encoder_losses, [adapted.body], adam)],
            epochs,
            keeps=[adapted, average],
            serves=adapted,
        )
        tick()
        return adapted

    return stages


def one_stage(data, net, losses=None, recipe=None, epochs=2, batch=8, trains=None, **more):
    """A stage that learns labels; `losses` may add to it."""
    rows = Rows(data, CPU)

    def plain(batch, progress):
        return {"label": label_loss(net(batch.x), batch.y)}

    turn = Turn(losses or plain, trains or [net], recipe or Optimiser("sgd", 0.05), **more)
    return Stage("labels", Single(rows, batch), [turn], epochs)


def bits(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


class Killed(BaseException):
    """As a key pressed: nothing that Juyi catches."""


class Clock:
    """Counts every moment at which a run may die, and dies at one of them."""

    def __init__(self, at=None):
        self.at, self.count = at, 0

    def tick(self, *_):
        self.count += 1
        if self.count == self.at:
            raise Killed

    stage_begins = step_done = stage_ends = tick

    def rewind(self, mark):
        self.tick()

    def mark(self):
        self.tick()
        return {}

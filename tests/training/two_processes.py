"""What each of two processes does for test_processes.py: torchrun --nproc-per-node 2 two_processes.py OUT."""

import json
import sys
from pathlib import Path

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from toys import CPU, Clock, Conv, Killed, domain, network, one_stage, table, two_stages

from juyi.adapt import ADDA, DANN
from juyi.errors import TrainingDivergedError
from juyi.runs.files import write_json, write_tensors
from juyi.training import Checkpoint, Optimiser, Rows, Settings, Single, Stage, Turn, join_processes, learn
from juyi.training.processes import leave_processes, share_from_first, take_from_first

METHODS = {
    "dann": DANN(epochs=1, optimiser="sgd", learning_rate=0.05),
    "adda": ADDA(epochs=1, adversarial_epochs=1, critic_width=16, adversarial_rate=1e-3, optimiser="sgd"),
}
for method in METHODS.values():
    method.set_params(net=Conv(norm=False), precision="float32", device="cpu", random_state=3)


def adapted(name, batch, processes=None):
    """Run a method for 20 steps a stage; return its first gradients and its last weights."""
    gradients = {}

    def note(optimiser, *_):
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                gradients.setdefault(f"gradient.{len(gradients)}", parameter.grad.clone())

    torch.manual_seed(0)
    method = METHODS[name].set_params(batch=batch, net=Conv(norm=False))
    source, target = domain(320), domain(320, seed=1, labelled=[i % 20 == 0 for i in range(320)])
    handle = register_optimizer_step_pre_hook(lambda o, *_: note(o) if not gradients else None)
    try:
        method.learn(source, target, processes=processes)
    finally:
        handle.remove()
    return {**gradients, **{f"weight.{k}": v for k, v in method.net_.state_dict().items()}}


def absent(processes):
    """Three layers: one has a gradient everywhere, one on the second process only, one nowhere."""
    net = nn.Sequential(nn.Linear(4, 2), nn.Linear(4, 2), nn.Linear(4, 2))
    with torch.no_grad():
        [p.fill_(0.5) for p in net.parameters()]
    told = []

    def losses(batch, progress):
        here = net[1](batch.x).sum() if processes.rank == 1 else 0.0
        return {"l": net[0](batch.x).sum() + here}

    turn = Turn(losses, [net], Optimiser("sgd", 0.01, 0.9, weight_decay=0.5),
                lambda ps: told.append([p.grad is not None for p in ps]))  # fmt: skip
    rows = Rows(table(), CPU)

    def stages(net):
        yield Stage("s", Single(rows, 5), [turn], 1)
        return net

    learn(stages, net, Settings(processes=processes))
    assert told == [[True] * 4 + [False] * 2] * 3
    return net.state_dict()


def diverged(processes):
    """The loss is NaN on the second process only, at step 2."""
    data = domain()
    net = network(data)

    def losses(batch, progress):
        bad = progress > 0.6 and processes.rank == 1
        return {"label": net(batch.x).square().mean() * (float("nan") if bad else 1.0)}

    def stages(net):
        yield one_stage(data, net, losses, epochs=1)

    try:
        learn(stages, net, Settings(processes=processes))
    except TrainingDivergedError as error:
        return str(error), net.state_dict()
    return "nothing was said", {}


def killed_and_resumed(processes, folder):
    """All die at the same moment; the first alone has the checkpoint's folder, and goes on with the others."""
    source, target = domain(), domain(seed=1)

    def life(at, checkpoint):
        clock = Clock(at)
        stages = two_stages(source, target, clock.tick, batch=4, averaging=False)
        # The weights at the beginning are those of the first process, whatever the others made.
        net = network(source, seed=processes.rank)
        try:
            return learn(stages, net, Settings(processes=processes), checkpoint=checkpoint).state_dict()
        except Killed:
            return None

    whole = life(None, None)
    for at in (8, 12, 6):
        place = folder if processes.is_first else folder / "not here"
        assert life(at, Checkpoint(place, every=0.0)) is None
    resumed = life(None, Checkpoint(place))
    assert not (folder / "not here").exists()
    return {**{f"whole.{k}": v for k, v in whole.items()}, **{f"resumed.{k}": v for k, v in resumed.items()}}


def main():
    out = Path(sys.argv[1])
    processes = join_processes()
    rank = processes.rank
    last = torch.full((2, 3, 4, 4), float(rank)).to(memory_format=torch.channels_last)
    mixed = [last, torch.tensor(rank == 0), torch.tensor(rank), torch.zeros(0)]
    share_from_first(mixed, processes)
    assert [t.sum().item() for t in mixed] == [0.0, 1, 0, 0.0] and last.is_contiguous(memory_format=torch.channels_last)
    assert take_from_first({"a": rank}, processes) == {"a": 0}
    for name in METHODS:
        write_tensors(out / f"{name}-{rank}", adapted(name, 8, processes))
    write_tensors(out / f"absent-{rank}", absent(processes))
    message, state = diverged(processes)
    write_tensors(out / f"diverged-{rank}", state)
    write_tensors(out / f"resumed-{rank}", killed_and_resumed(processes, out / "checkpoint"))
    write_json(out / f"told-{rank}.json", json.loads(json.dumps(message)))
    leave_processes()


if __name__ == "__main__":
    main()

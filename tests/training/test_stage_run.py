"""One stage: turns move what they train and nothing else; nothing is left behind; NaN is told."""

import builtins
import io
import math
import os
import threading

import pytest
import torch
from torch import nn
from toys import CPU, Conv, bits, domain, network, one_stage, same, table, two_stages

from juyi.errors import ForeignFileError, TrainingDivergedError
from juyi.nets import mlp
from juyi.runs.files import read_tensors, write_tensors
from juyi.training import Checkpoint, Optimiser, Rows, Settings, Single, Stage, StageRun, Turn, learn, run_stage
from juyi.training.schedules import SCHEDULES
from juyi.training.state import State


class Stop(Exception):
    pass


def stage_run(stage, *owners, number=0, settings=None):
    state = State()
    state.see(owners)
    return StageRun(stage, number, state, settings or Settings())


def run_until(run, step):
    def after(run):
        if run.step == step:
            raise Stop

    try:
        run_stage(run, after)
    except Stop:
        return


ADAM, SGD = Optimiser("adam", 5e-3, momentum=0.5, weight_decay=0.01), Optimiser("sgd", 0.05, weight_decay=0.01)


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
def test_trap_of_the_fused_optimisers_memory(tmp_path, recipe):
    """Fused kernels walk raw memory: the state of channels-last weights, loaded contiguous, updates other weights.

    Resumed from a file, the bits must be those of the uninterrupted run; loaded naively they are not, without a
    word of torch, which is what makes it a trap.
    """
    data = domain()

    def fresh():
        net = network(data)
        return net, stage_run(one_stage(data, net, recipe=recipe), net)

    whole, run = fresh()
    run_stage(run)
    _killed, run = fresh()
    run_until(run, 5)
    write_tensors(tmp_path / "latest", run.tensors(), run.note())
    tensors, note = read_tensors(tmp_path / "latest")

    resumed, run = fresh()
    run.load(tensors, note)
    assert run.step == 5
    run_stage(run)
    assert same(bits(whole), bits(resumed))
    assert whole.body[3].weight.is_contiguous(memory_format=torch.channels_last)

    naive, run = fresh()
    run.load(tensors, note)
    for position, parameter in enumerate(run.optimisers[0].param_groups[0]["params"]):
        own = {k.split(".", 3)[-1]: v for k, v in tensors.items() if k.startswith(f"optimiser.0.{position}.")}
        run.optimisers[0].state[parameter] = {k: v.clone() for k, v in own.items()}
    run_stage(run)
    assert (whole.body[3].weight - naive.body[3].weight).abs().max() > 1e-4  # the test can fail


def test_optimiser_state_of_another_shape_is_refused():
    data = domain()
    net = network(data)
    run = stage_run(one_stage(data, net), net)
    run_until(run, 1)
    tensors, note = run.tensors(), run.note()
    tensors["optimiser.0.0.momentum_buffer"] = torch.zeros(1, 2)
    with pytest.raises(ForeignFileError, match="has shape"):
        run.load(tensors, note)


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
def test_a_gradient_may_come_late(recipe):
    """torch's fused SGD fails where one parameter has momentum and another has none yet."""
    data = table()
    net = nn.Sequential(nn.Linear(4, 2), nn.Linear(4, 2))
    reference = {k: v.clone() for k, v in net.state_dict().items()}

    def losses(batch, progress):
        late = net[1](batch.x).square().mean() if progress > 0.4 else 0.0
        return {"early": net[0](batch.x).square().mean() + late}

    stage = Stage("s", Single(Rows(data, CPU), 10), [Turn(losses, [net], recipe)], epochs=3)
    run = stage_run(stage, net)
    run_until(run, 4)
    assert torch.equal(net[1].weight, reference["1.weight"]) and not torch.equal(net[0].weight, reference["0.weight"])
    run_stage(run)
    assert not torch.equal(net[1].weight, reference["1.weight"])


def test_the_updates_are_those_of_torch_written_out():
    """SGD with momentum and weight decay, and decoupled Adam, against the formulas, a schedule included."""
    data = table(rows=40)
    for recipe in (Optimiser("sgd", 0.1, 0.9, 0.02, "cosine"), Optimiser("adam", 0.01, 0.8, 0.1, "inverse")):
        net = nn.Linear(4, 1)
        weight = net.weight.detach().double().clone()
        batches = Single(Rows(data, CPU), 10)
        turn = Turn(lambda b, p, net=net: {"l": net(b.x).square().mean()}, [net.weight], recipe)
        run = stage_run(Stage("s", batches, [turn], epochs=2), net)
        first = second = torch.zeros_like(weight)
        for step in range(8):
            x = batches.batch((0, 0), step, 0, 1).x.double()
            p = step / 8
            rate = recipe.learning_rate * SCHEDULES[recipe.schedule](p)
            gradient = 2 * ((x @ weight.T + net.bias.detach().double()) * x).mean(0, keepdim=True)
            if recipe.kind == "sgd":
                first = 0.9 * first + gradient + 0.02 * weight
                weight = weight - rate * first
            else:
                weight = weight * (1 - rate * 0.1)
                first, second = 0.8 * first + 0.2 * gradient, 0.999 * second + 0.001 * gradient**2
                corrected = first / (1 - 0.8 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
                weight = weight - rate * corrected[0] / (corrected[1].sqrt() + 1e-8)
        run_stage(run)
        torch.testing.assert_close(net.weight.detach().double(), weight, rtol=1e-4, atol=1e-6)


def test_schedules_start_at_one_and_end_where_the_papers_say():
    assert [SCHEDULES[name](0.0) for name in ("constant", "inverse", "cosine")] == [1.0, 1.0, 1.0]
    assert SCHEDULES["constant"](1.0) == 1.0
    assert SCHEDULES["inverse"](1.0) == pytest.approx(11**-0.75)
    assert SCHEDULES["cosine"](1.0) == pytest.approx(0.0) and SCHEDULES["cosine"](0.5) == pytest.approx(0.5)


def test_a_stage_opens_no_file_and_no_thread(monkeypatch):
    data = domain()
    net = network(data)
    run_stage(stage_run(one_stage(data, net, epochs=1), net))  # torch imports some of itself at the first step
    run = stage_run(one_stage(data, net, recipe=ADAM), net)

    def refuse(*arguments, **_):
        raise AssertionError(f"opened {arguments}")

    def count():
        return threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (opens no more than it must)

    before, seen = count(), set()

    def after(run):
        seen.add(count())

    with monkeypatch.context() as patch:
        for place, name in ((builtins, "open"), (io, "open"), (os, "open")):
            patch.setattr(place, name, refuse)
        run_stage(run, after)
    assert seen == {before}


class Mixed(nn.Module):
    """A frozen layer, one that stays in eval mode, one to be trained."""

    def __init__(self):
        super().__init__()
        self.frozen, self.norm, self.trained = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)
        self.frozen.requires_grad_(False)
        self.norm.eval()

    def forward(self, x):
        return self.trained(self.norm(self.frozen(x)))


@pytest.mark.parametrize("fails", [False, True])
def test_flags_are_left_as_they_were(fails):
    net, bare, kept = Mixed(), torch.zeros(2, requires_grad=True), torch.ones(2, requires_grad=True)
    data = table()

    def losses(batch, progress):
        if fails and progress > 0.3:
            raise Stop
        return {"l": (net(batch.x) + bare * kept).square().mean()}

    stage = Stage("s", Single(Rows(data, CPU), 10), [Turn(losses, [net, bare], SGD)], epochs=2, keeps=[kept])
    frozen = bits(net.frozen)
    run = stage_run(stage, net)
    if fails:
        with pytest.raises(Stop):
            run_stage(run)
    else:
        run_stage(run)
    assert not net.frozen.weight.requires_grad and net.trained.weight.requires_grad and net.norm.weight.requires_grad
    assert net.training and net.trained.training and not net.norm.training
    assert bare.requires_grad and kept.requires_grad  # bare tensors used to come back without it
    assert same(frozen, bits(net.frozen)) and bare.abs().sum() > 0 and torch.equal(kept, torch.ones(2))
    assert all(t.grad is None for t in (bare, kept, *net.parameters()))


def test_a_turn_moves_what_it_trains_and_gives_nothing_else_a_gradient():
    data = table()
    encoder, critic, prompt, teacher = mlp(4, 4, 3), mlp(3, 3, 1), torch.zeros(4), mlp(4, 3)
    told = []

    def everything(batch, progress):
        for tensor in (*encoder.parameters(), *critic.parameters(), prompt):
            tensor.grad = None  # what an earlier turn left in what it trained
        return {"l": (critic(encoder(batch.x + prompt)) - teacher(batch.x).mean()).square().mean()}

    def watch(name, trained):
        def hook(parameters):
            told.append(name)
            assert {id(p) for p in parameters} == {id(p) for p in trained}
            for tensor in (*encoder.parameters(), *critic.parameters(), prompt, *teacher.parameters()):
                ours = any(tensor is p for p in trained)
                assert tensor.requires_grad == ours and (tensor.grad is not None) == ours

        return hook

    parts = {"critic": [critic], "encoder": [encoder], "prompt": [prompt]}
    flat = {k: [t for o in v for t in (o.parameters() if isinstance(o, nn.Module) else [o])] for k, v in parts.items()}
    turns = [Turn(everything, owners, SGD, watch(name, flat[name])) for name, owners in parts.items()]
    before = bits(teacher)
    run = stage_run(Stage("s", Single(Rows(data, CPU), 10), turns, epochs=1, keeps=[teacher]))
    run_stage(run)
    assert told == ["critic", "encoder", "prompt"] * 3
    assert same(before, bits(teacher)) and prompt.abs().sum() > 0


def test_only_what_a_turn_trains_is_in_training_mode():
    net, critic, seen = Mixed(), nn.Sequential(nn.Linear(2, 1), nn.Dropout()), []

    def losses(batch, progress):
        seen.append((net.training, critic.training, critic[1].training))
        return {"l": critic(net(batch.x)).mean()}

    turns = [Turn(losses, [critic], SGD), Turn(losses, [net], SGD)]
    run_stage(stage_run(Stage("s", Single(Rows(table(), CPU), 30), turns, epochs=1), net))
    assert seen == [(False, True, True), (True, False, False)]


def test_a_parameter_of_two_turns_has_one_optimiser():
    shared, own, other = nn.Linear(4, 4), nn.Linear(4, 1), nn.Linear(4, 1)
    turns = [
        Turn(lambda b, p: {"a": own(shared(b.x)).square().mean()}, [shared, own], ADAM),
        Turn(lambda b, p: {"b": other(shared(b.x)).square().mean()}, [shared, other], ADAM),
    ]
    run = stage_run(Stage("s", Single(Rows(table(), CPU), 10), turns, epochs=1))
    held = [id(p) for o in run.optimisers for g in o.param_groups for p in g["params"]]
    assert len(held) == len(set(held)) == 6
    run_stage(run)
    steps = {name: float(run.optimisers[k].state[m.weight]["step"])
             for name, k, m in (("shared", 0, shared), ("own", 0, own), ("other", 1, other))}  # fmt: skip
    assert steps == {"shared": 6.0, "own": 3.0, "other": 3.0}


def test_two_recipes_for_one_parameter_are_refused():
    """The second one used to be ignored without a word."""
    net = nn.Linear(4, 1)
    turns = [Turn(lambda b, p: {"a": net(b.x).mean()}, [net], recipe) for recipe in (SGD, ADAM)]
    with pytest.raises(ValueError, match="turns that train the same parameter need one Optimiser"):
        stage_run(Stage("s", Single(Rows(table(), CPU), 10), turns, epochs=1))


def test_losses_are_summed_and_their_means_told_by_epoch():
    net, seen = nn.Linear(4, 1), []

    def losses(batch, progress):
        return {"two": net.weight.sum() * 0 + 2.0, "progress": net.weight.sum() * 0 + progress}

    run = stage_run(Stage("s", Single(Rows(table(), CPU), 10), [Turn(losses, [net], SGD)], epochs=2))
    run_stage(run, lambda run: seen.append((run.mean_losses(), run.epoch, run.at_epoch_end)))
    assert [round(means["progress"] * 6, 6) for means, *_ in seen] == [0, 0.5, 1, 3, 3.5, 4]
    assert all(means["two"] == 2.0 for means, *_ in seen)
    assert [rest for _, *rest in seen] == [[0, False], [0, False], [1, True], [1, False], [1, False], [2, True]]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_before_the_update(tmp_path, bad):
    data = domain()

    def learn_it(bad_at, checkpoint):
        net = network(data)

        def stages(net):
            def losses(batch, progress):
                label = net(batch.x).square().mean()
                extra = net.head.weight.sum() * (bad if round(progress * 12) == bad_at else 0.0)
                return {"label": label, "consistency": extra}

            yield one_stage(data, net, losses)
            return net

        return net, lambda: learn(stages, net, Settings(), checkpoint=checkpoint)

    net, go = learn_it(7, Checkpoint(tmp_path, every=0.0))
    with pytest.raises(TrainingDivergedError, match="stage labels, step 7: the loss consistency is not a finite") as e:
        go()
    assert "smaller --learning-rate" in str(e.value) and "label and" not in str(e.value)
    assert all(torch.isfinite(v).all() for v in net.state_dict().values())
    tensors, note = read_tensors(tmp_path / "latest.safetensors")
    assert note["step"] == 7 and all(torch.isfinite(v).all() for v in tensors.values())
    whole, go = learn_it(-1, None)
    go()
    healed, go = learn_it(-1, Checkpoint(tmp_path))
    go()
    assert same(bits(whole), bits(healed))


def test_a_last_update_that_goes_astray_is_told_and_not_stored(tmp_path):
    """No loss comes after it; weights that are NaN used to be stored as the end of the stage, and to serve."""
    data = domain()
    net = network(data)

    class Root(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            return gradient * math.inf

    def stages(net):
        def losses(batch, progress):
            scores = net(batch.x)
            return {"label": (Root.apply(scores) if progress > 11 / 12 - 1e-9 else scores).square().mean()}

        yield one_stage(data, net, losses)

    with pytest.raises(TrainingDivergedError, match="the last update left weights that are not finite numbers"):
        learn(stages, net, Settings(), checkpoint=Checkpoint(tmp_path, every=0.0))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["beginning.safetensors", "latest.safetensors"]
    assert all(torch.isfinite(v).all() for v in read_tensors(tmp_path / "latest.safetensors")[0].values())


def test_a_memory_may_hold_infinity_and_checkpoints_are_written_all_the_same(tmp_path):
    data = domain()
    net = network(data)
    best = torch.full((3,), math.inf)

    def stages(net):
        stage = one_stage(data, net)
        yield Stage(stage.name, stage.over, stage.turns, stage.epochs, keeps=[best])

    learn(stages, net, Settings(), checkpoint=Checkpoint(tmp_path, every=0.0))
    assert (tmp_path / "latest.safetensors").exists()


def test_the_callers_randomness_is_untouched():
    data, other = domain(), domain(seed=1)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    learn(two_stages(data, other), network(data), Settings(seed=3))
    assert torch.equal(torch.rand(3), expected)


def test_learning_hangs_on_the_seed_and_on_nothing_else():
    data, other = domain(), domain(seed=1)

    def learnt(seed, noise):
        torch.manual_seed(noise)
        return bits(learn(two_stages(data, other), network(data), Settings(seed=seed)))

    assert same(learnt(0, 1), learnt(0, 2)) and not same(learnt(0, 1), learnt(1, 1))


def test_what_serves_is_in_eval_mode_and_conv_is_still_channels_last():
    data = domain()
    net = learn(two_stages(data, domain(seed=1)), network(data), Settings())
    assert not any(layer.training for layer in net.modules())
    assert net.body[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert isinstance(Conv().body[0], nn.Conv2d)

"""One loop by five weights: closed forms, what each loss does to the generator, whose turn moves what, and memory."""

import contextlib
import math

import numpy as np
import pytest
import torch

from juyi.adapt import SourceOnly
from juyi.check.common import Kill, Killed, same, shifted_domains, weights
from juyi.distill import DAFL, DFAD, DFQ, Teacher
from juyi.distill.dafl import SHOWN, absolute_gap, activation_loss, entropy_loss, one_hot_loss
from juyi.distill.generators import build_generator, paper_body, small_body, squash
from juyi.distill.memory import Memory
from juyi.distill.teachers import as_teacher
from juyi.losses.distillation import correlation_loss, soft_loss
from juyi.nets import Standardise, build_network
from juyi.training import Checkpoint, Optimiser, Settings, StageRun, Step, run_stage
from juyi.training.state import State

QUICK = {"student": "mlp-16", "epochs": 2, "epoch_steps": 4, "batch": 30, "precision": "float32", "device": "cpu"}


@pytest.fixture(scope="module")
def teacher():
    source, _ = shifted_domains()
    fitted = SourceOnly(net="mlp", batch_norm="shared", batch=60, epochs=20, precision="float32", device="cpu")
    return as_teacher(fitted.fit(source))


def image_teacher(shape=(3, 10, 9)):
    torch.manual_seed(0)
    channels = shape[0]
    net = torch.nn.Sequential(
        Standardise(torch.full((channels,), 100.0), torch.full((channels,), 50.0)),
        torch.nn.Conv2d(channels, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(4 * (shape[1] - 2) * (shape[2] - 2), 5),
    )  # fmt: skip
    scale = Standardise(torch.full((channels,), 100.0), torch.full((channels,), 50.0))
    return Teacher(net, shape, tuple("abcde"), scale=scale)


def test_the_losses_are_those_of_a_slow_sum():
    torch.manual_seed(1)
    scores, features = 3 * torch.randn(7, 4), torch.randn(7, 6)
    p = scores.double().softmax(1)
    sure = -sum(math.log(max(row)) for row in p.tolist()) / 7
    assert one_hot_loss(scores).item() == pytest.approx(sure, rel=1e-5)
    assert activation_loss(features).item() == pytest.approx(-sum(map(abs, features.flatten().tolist())) / 42, rel=1e-5)
    shares = [sum(column) / 7 for column in p.T.tolist()]
    assert entropy_loss(scores).item() == pytest.approx(sum(share * math.log(share) for share in shares), rel=1e-5)
    other = torch.randn(7, 4)
    assert absolute_gap(other, scores).item() == pytest.approx((other - scores).abs().sum().item() / 28, rel=1e-5)


def test_the_weight_of_balance_is_that_of_the_program_in_its_own_logarithm():
    p = torch.tensor([[0.7, 0.2, 0.1]])
    to_base_10 = 5 * sum(share * math.log10(share) for share in p[0].tolist())
    assert 2.17 * entropy_loss(p.log()).item() == pytest.approx(to_base_10, rel=1e-3)


def test_balance_has_a_gradient_where_a_class_never_comes():
    scores = torch.tensor([[200.0, 0.0, -200.0]], requires_grad=True)
    loss = entropy_loss(scores)
    loss.backward()
    assert loss.isfinite() and scores.grad.isfinite().all()


def test_sure_and_balanced_rows_have_the_least_losses():
    sure = 50 * torch.eye(5)
    assert one_hot_loss(sure).item() == pytest.approx(0, abs=1e-6)
    assert entropy_loss(sure).item() == pytest.approx(-math.log(5), abs=1e-5)
    assert entropy_loss(sure[:1]).item() == pytest.approx(0, abs=1e-5)


PARTS = ("one_hot", "activation", "entropy", "adversarial", "statistics")


def only(part, **settings):
    return DAFL(**{**dict.fromkeys(PARTS, 0.0), part: 1.0}, **settings)


@pytest.mark.parametrize("part", PARTS)
def test_steps_of_the_generator_reduce_its_loss(teacher, part):
    from juyi.distill.statistics import KeptStatistics

    torch.manual_seed(0)
    generator, method = build_generator("small", teacher, 16), only(part)
    student = build_network("mlp-16", torch.zeros(2, 8), 3).eval().requires_grad_(False)
    kept = KeptStatistics(teacher) if part == "statistics" else None
    noise = torch.randn(64, 16)
    optimiser = torch.optim.SGD(generator.parameters(), 0.01)
    values = []
    for _ in range(6):
        losses = method.generator_losses(generator(noise), teacher, student, kept)
        assert list(losses) == [part]
        optimiser.zero_grad()
        losses[part].backward()
        optimiser.step()
        values.append(losses[part].item())
    assert values[-1] < values[0]


def test_the_generator_ascends_what_the_student_descends(teacher):
    student = build_network("mlp-16", torch.zeros(2, 8), 3)
    x = torch.randn(9, 8)
    method = only("adversarial", gap="absolute")
    gap = absolute_gap(student(x), teacher.scores(x))
    assert method.generator_losses(x, teacher, student)["adversarial"].item() == pytest.approx(-gap.item(), rel=1e-5)


def test_a_weight_scales_its_part_and_zero_switches_it_off(teacher):
    student = build_network("mlp-16", torch.zeros(2, 8), 3)
    x = torch.randn(9, 8)
    once, twice = (
        DAFL(one_hot=1.0, entropy=float(w), activation=0.0).generator_losses(x, teacher, student) for w in (1, 2)
    )
    assert once["entropy"].item() * 2 == pytest.approx(twice["entropy"].item())
    assert "activation" not in once and "statistics" not in once


def stage_of(method, teacher, student):
    """The method's stage, and a run of it."""
    torch.manual_seed(0)
    stage = next(method.stages(teacher, student, None))
    state = State()
    state.see([student])
    return stage, StageRun(stage, 0, state, Settings(0))


def bits(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("still", [0, 1])
def test_a_turn_moves_what_is_its_own_and_nothing_else(teacher, still):
    """With a rate of 0 for one of the two, only the other moves: losses of both turns see both networks."""
    method = DFAD(teacher=teacher, epochs=1, epoch_steps=2, batch=20, memory=0)
    student = build_network("mlp-16", torch.zeros(2, 8), 3)
    stage, _ = stage_of(method, teacher, student)
    generator = stage.turns[0].trains[0]
    frozen = Optimiser("adam", 0.0)
    turns = [
        type(turn)(turn.losses, turn.trains, frozen if (k == 0) == (still == 0) else Optimiser("adam", 0.01))
        for k, turn in enumerate(stage.turns)
    ]
    state = State()
    state.see([student])
    before, kept = (dict(generator.named_parameters()), dict(student.named_parameters())), []
    kept = [{name: p.detach().clone() for name, p in side.items()} for side in before]
    run_stage(StageRun(type(stage)(stage.name, stage.over, turns, stage.epochs, stage.keeps), 0, state, Settings(0)))
    moved = [
        any(not torch.equal(p, old[name]) for name, p in side.items()) for side, old in zip(before, kept, strict=True)
    ]
    assert moved == [still != 0, still != 1]


def test_the_student_learns_rows_through_which_no_gradient_goes(teacher):
    method = DAFL(teacher=teacher, epoch_steps=2, epochs=1, batch=20, student_turns=1)
    student = build_network("mlp-16", torch.zeros(2, 8), 3)
    stage, _ = stage_of(method, teacher, student)
    stage.turns[0].losses(None, 0.0)
    stage.turns[1].losses(None, 0.0)["imitation"].backward()
    assert all(p.grad is None for p in stage.turns[0].trains[0].parameters())
    assert all(p.grad is not None for p in student.parameters())


def test_without_any_loss_the_generator_stays_as_it_began(teacher):
    method = only("one_hot", teacher=teacher, epochs=1, epoch_steps=3, batch=20)
    method.one_hot = 0.0
    student = build_network("mlp-16", torch.zeros(2, 8), 3)
    stage, run = stage_of(method, teacher, student)
    generator = stage.turns[0].trains[0]
    before = [p.detach().clone() for p in generator.parameters()]
    run_stage(run)
    assert all(torch.equal(p, old) for p, old in zip(generator.parameters(), before, strict=True))


def test_students_turns_in_a_step(teacher):
    method = DAFL(teacher=teacher, student_turns=3, epochs=1, epoch_steps=1)
    stage, run = stage_of(method, teacher, build_network("mlp-16", torch.zeros(2, 8), 3))
    assert len(stage.turns) == 4 and len(run.optimisers) == 2


def test_a_students_batch_is_mixed_by_the_share():
    method, made = DAFL(remembered=0.25), torch.full((8, 2), 1.0)
    memory = Memory(100, (2,))
    memory.add(torch.zeros(8, 2))
    assert torch.equal(method.mix(made, memory), made)  # nothing older than this step's rows
    memory.add(torch.zeros(8, 2))
    mixed = method.mix(made, memory)
    assert mixed.shape == made.shape and mixed[:, 0].sum() == 6
    assert torch.equal(DAFL(remembered=0.0).mix(made, memory), made)
    assert DAFL(remembered=1.0).mix(made, memory).sum() == 0


@pytest.mark.parametrize(("mean", "spread"), [(33.3, 78.6), (73.0, 90.0), (120.0, 62.0), (20.0, 30.0)])
def test_squashed_values_have_the_mean_and_the_spread(mean, spread):
    a, b = squash(mean, spread)
    x = 255 * torch.sigmoid(a * torch.randn(200_000, generator=torch.Generator().manual_seed(0)) + b)
    assert x.mean().item() == pytest.approx(mean, rel=0.05) and x.std().item() == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (-5.0, 20.0), (100.0, 200.0)])
def test_a_scale_that_no_image_has_is_replaced(mean, spread):
    assert squash(mean, spread) == squash(127.5, 63.75)


def test_what_is_generated_lies_on_the_scale_of_the_teacher():
    teacher = image_teacher()
    x = build_generator("small", teacher, 20).make(64)
    assert x.shape == (64, 3, 10, 9) and x.min() >= 0 and x.max() <= 255
    assert torch.allclose(x.mean((0, 2, 3)), torch.tensor(100.0), atol=8)
    assert torch.allclose(x.std((0, 2, 3)), torch.tensor(50.0), rtol=0.1)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 10, 9), (1, 5, 7)])
@pytest.mark.parametrize("kind", ["small", "paper"])
def test_generators_reach_any_size(shape, kind):
    teacher = Teacher(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(math.prod(shape), 2)), shape, "ab")
    assert build_generator(kind, teacher, 10).make(3).shape == (3, *shape)


def test_the_small_generator_is_small():
    from torch.utils.flop_counter import FlopCounterMode

    counts = []
    for body in (small_body, paper_body):
        with FlopCounterMode(display=False) as counter:
            body((1, 28, 28), 100)(torch.zeros(2, 100))
        counts.append(counter.get_total_flops() / 4)  # two rows, and an addition for each multiplication
    assert counts[0] == pytest.approx(1.2e6, rel=0.05) and counts[1] == pytest.approx(88e6, rel=0.05)


@pytest.mark.parametrize("method", [DAFL, DFAD, DFQ])
def test_a_student_learns_a_table_without_data(teacher, method):
    rows, _ = shifted_domains(seed=2)
    settings = {**QUICK, "epochs": 10, "epoch_steps": 60, "learning_rate": 0.01}
    fitted = method(teacher=teacher, **settings).fit()
    said = teacher.scores(torch.from_numpy(rows.x)).argmax(1).numpy()
    assert (fitted.predict(rows) == np.array(teacher.classes)[said]).mean() >= 0.9


def test_impressions_are_rows_with_what_the_teacher_says_of_them():
    teacher = image_teacher()
    fitted = DAFL(teacher=teacher, **QUICK).fit()
    x, scores = fitted.impressions_.x, fitted.impression_scores_
    assert x.dtype == np.uint8 and x.shape[1:] == (3, 10, 9) and len(x) == min(SHOWN, 8 * 30)
    assert scores.dtype == np.float32 and np.allclose(scores, teacher.scores(torch.from_numpy(x)).numpy(), atol=1e-4)
    assert np.array_equal(fitted.impressions_.y, scores.argmax(1))
    assert fitted.impressions_.classes == teacher.classes


@pytest.mark.parametrize(("method", "more"), [(DAFL, {}), (DFQ, {"memory": 40}), (DFAD, {"memory": 0})])
def test_killed_inside_the_stage_and_resumed_the_same_bits(method, more, tmp_path):
    teacher = image_teacher()

    def learnt(watcher=None, folder=None):
        made = method(teacher=teacher, average=0.9, student_turns=2, **more, **QUICK)
        return made.learn(teacher, None, watcher=watcher, checkpoint=folder and Checkpoint(folder, every=0.0))

    watcher = Kill(-1)
    whole = learnt(watcher)
    for at in (watcher.count // 2, watcher.count - 1):
        folder = tmp_path / str(at)
        with contextlib.suppress(Killed):
            learnt(Kill(at), folder)
        resumed = learnt(None, folder)
        assert same(weights(whole), weights(resumed))
        assert np.array_equal(whole.impressions_.x, resumed.impressions_.x)


def test_the_memory_changes_what_is_learnt():
    teacher = image_teacher()
    one, other = (DAFL(teacher=teacher, memory=memory, **QUICK).fit() for memory in (0, 500))
    assert not same(weights(one), weights(other))


def test_the_teacher_stays_as_it_is():
    teacher = image_teacher()
    before = bits(teacher.net)
    DFQ(teacher=teacher, **QUICK).fit()
    assert same(before, bits(teacher.net))
    assert not teacher.net[2]._forward_pre_hooks and not teacher.net.training
    assert all(p.grad is None for p in teacher.net.parameters())


def test_remembered_rows_are_seen_anew_and_new_ones_as_they_are():
    made, memory = torch.zeros(8, 3, 10, 9), Memory(50, (3, 10, 9))
    memory.add(torch.full((50, 3, 10, 9), 7.0))
    mixed = DAFL(remembered=0.25).mix(made, memory, lambda x: x + 100)
    assert sorted(mixed.amax((1, 2, 3)).tolist()) == [0.0] * 6 + [107.0] * 2


def test_of_a_view_the_teacher_is_asked_of_what_the_student_sees(monkeypatch):
    seen, asked = [], image_teacher()
    scores = asked.scores

    def watched(x):
        seen.append(x.detach().clone())
        return scores(x)

    monkeypatch.setattr(asked, "scores", watched)
    quick = {"student": "cnn_small_half", "epochs": 1, "epoch_steps": 3, "batch": 8, "student_turns": 1}
    settings = {"adversarial": 0.0, "precision": "float32", "device": "cpu", **quick}
    DAFL(teacher=asked, **settings).fit()
    warped = [*seen]
    seen.clear()
    DAFL(teacher=asked, augment="none", **settings).fit()
    assert len(warped) == len(seen) and warped[0].equal(seen[0])  # nothing was remembered yet
    assert warped[2].shape == seen[2].shape and not torch.allclose(warped[2], seen[2], atol=1.0)


def test_the_student_descends_correlations_or_the_gap_as_it_is_told():
    student, teacher = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0)).unbind()
    assert torch.equal(DAFL().imitation(student, teacher), correlation_loss(student, teacher, 20.0))
    gap = DAFL(student_loss="gap", temperature=2.0)
    assert torch.equal(gap.imitation(student, teacher), soft_loss(student, teacher, 2.0))
    assert torch.equal(DFAD().imitation(student, teacher), absolute_gap(student, teacher))


@pytest.mark.parametrize(("generators", "epochs", "parts"), [(1, 3, [3]), (2, 5, [2, 3]), (5, 3, [1, 1, 1])])
def test_generators_follow_one_another_and_share_the_epochs(teacher, generators, epochs, parts):
    method = DAFL(teacher=teacher, generators=generators, epochs=epochs, epoch_steps=1, batch=20)
    student = build_network("mlp-16", torch.zeros(2, 8), 3)
    going = method.stages(teacher, student, None)
    stages = [next(going) for _ in parts]
    assert [stage.epochs for stage in stages] == parts
    trained = [stage.turns[0].trains[0] for stage in stages]
    assert len(set(map(id, trained))) == len(parts) and all(stage.turns[1].trains == [student] for stage in stages)
    assert len({id(stage.keeps[0]) for stage in stages}) == 1  # what was made is remembered
    assert isinstance(next(going), Step)


def test_each_generators_turn_trains_that_generator(teacher):
    method = DAFL(teacher=teacher, generators=2, epochs=2, epoch_steps=1, batch=20)
    going = method.stages(teacher, build_network("mlp-16", torch.zeros(2, 8), 3), None)
    first, second = next(going), next(going)
    loss = sum(second.turns[0].losses(None, 0.0).values())
    loss.backward()
    grads = [[p.grad is not None for p in stage.turns[0].trains[0].parameters()] for stage in (first, second)]
    assert not any(grads[0]) and any(grads[1])

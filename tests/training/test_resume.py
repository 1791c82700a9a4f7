"""Killed anywhere and resumed, the same bits and the same log; what a checkpoint may be, and a disk that is full."""

import contextlib
import json
import os
import random
import subprocess
from pathlib import Path

import pytest
from toys import Clock, Killed, bits, domain, network, one_stage, same, two_stages

from juyi.errors import ForeignFileError, WriteError
from juyi.runs.files import read_tensors, write_tensors
from juyi.training import Checkpoint, Settings, Silent, Step, learn
from juyi.training import checkpoint as checkpoint_module
from juyi.training.watchers import Log, Together


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    """These processes are not really killed, so nothing has to reach a real disk; that takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


SOURCE, TARGET = domain(), domain(seed=1, labelled=[i < 6 for i in range(48)])


def life(folder, clock, monkeypatch, every=0.0, seed=0):
    """Learn until the end, or until the clock says so; the moments include those around each writing."""

    def write(path, *rest):
        clock.tick()
        write_tensors(path, *rest)
        clock.tick()

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "write_tensors", write)
        watcher = Together([clock, Log(folder / "log.jsonl", "toy"), clock])
        checkpoint = Checkpoint(folder / "checkpoint", every)
        stages = two_stages(SOURCE, TARGET, clock.tick)
        return bits(learn(stages, network(SOURCE), Settings(seed), watcher, checkpoint))


def log(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds")
    return lines


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nobody kills: its weights, its log, and how many moments it has."""
    folder, clock = tmp_path_factory.mktemp("whole"), Clock()
    with pytest.MonkeyPatch.context() as patch:
        return life(folder, clock, patch), log(folder), clock.count


def test_watching_and_storing_change_no_bit(whole):
    assert same(whole[0], bits(learn(two_stages(SOURCE, TARGET), network(SOURCE), Settings())))
    assert [(line["stage"], line["epoch"]) for line in whole[1]] == [
        ("source", 1), ("source", 2), ("adapt", 1), ("adapt", 2)
    ]  # fmt: skip


@pytest.mark.parametrize("every", [0.0, 1e9], ids=["stored at every step", "stored after the first step of a stage"])
def test_killed_once_at_any_moment(whole, tmp_path, monkeypatch, every):
    """Inside stages, between them, before, within and after every writing: a twelfth of all moments each time."""
    weights, lines, moments = whole
    chosen = random.Random(int(every > 0)).sample(range(1, moments + 1), moments // 12)
    assert len(chosen) > 12
    for at in chosen:
        folder = tmp_path / str(at)
        folder.mkdir()
        with contextlib.suppress(Killed):
            life(folder, Clock(at), monkeypatch, every)
        assert same(weights, life(folder, Clock(), monkeypatch, every)), f"killed at moment {at} of {moments}"
        assert log(folder) == lines, f"the log, killed at moment {at} of {moments}"


@pytest.mark.parametrize("seed", range(6))
def test_killed_again_and_again(whole, tmp_path, monkeypatch, seed):
    weights, lines, moments = whole
    draw, kills, found = random.Random(seed), 0, None
    while found is None:
        try:
            found = life(tmp_path, Clock(draw.randint(10, moments // 3) if kills < 25 else None), monkeypatch)
        except Killed:
            kills += 1
    assert kills > 3 and same(weights, found) and log(tmp_path) == lines


def test_a_finished_run_is_replayed_without_a_step(whole, tmp_path, monkeypatch):
    life(tmp_path, Clock(), monkeypatch)
    lines = (tmp_path / "log.jsonl").read_text() + '{"model": "another"}\n'
    (tmp_path / "log.jsonl").write_text(lines)
    clock = Clock()
    assert same(whole[0], life(tmp_path, clock, monkeypatch))
    assert clock.count < 20
    # The floor is finished while its neighbour learns: its replay used to cut the neighbour's lines off.
    assert (tmp_path / "log.jsonl").read_text() == lines


def test_the_log_of_a_second_stage_is_not_filled_with_zeros(whole, tmp_path, monkeypatch):
    """Each finished stage cut the log to its own end, and the next one stretched it again, with NUL bytes."""
    with pytest.raises(Killed):
        life(tmp_path, Clock(whole[2] - 5), monkeypatch)
    life(tmp_path, Clock(), monkeypatch)
    assert b"\0" not in (tmp_path / "log.jsonl").read_bytes()


def test_a_log_that_lost_its_end_is_not_stretched(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("{}\n")
    watcher = Log(path, "toy")
    watcher.rewind({"size": 500, "seconds": 3.0})
    watcher.stage_begins(None)
    assert path.read_text() == "{}\n" and watcher.seconds == 3.0


def test_the_beginning_is_stored_too(tmp_path):
    """A network of one's own may be built with randomness of its own; a resumed run begins where the first did."""
    data = domain()

    def stages(net):
        yield one_stage(data, net)
        return net

    class Kill(Silent):
        def stage_begins(self, run):
            raise Killed

    with pytest.raises(Killed):
        learn(stages, network(data, seed=1), Settings(), Kill(), Checkpoint(tmp_path))
    resumed = learn(stages, network(data, seed=2), Settings(), checkpoint=Checkpoint(tmp_path))
    assert same(bits(resumed), bits(learn(stages, network(data, seed=1), Settings())))


def test_a_step_that_is_done_is_not_done_again(tmp_path):
    data, done = domain(), []

    def stages(net):
        yield Step("statistics", lambda: done.append(1))
        yield one_stage(data, net)
        return net

    for _ in range(2):
        learn(stages, network(data), Settings(), checkpoint=Checkpoint(tmp_path))
    assert done == [1]


def test_a_checkpoint_of_another_method_is_refused(tmp_path):
    data = domain()

    def stages(net):
        yield one_stage(data, net)
        return net

    learn(stages, network(data, norm=False), Settings(), checkpoint=Checkpoint(tmp_path))
    with pytest.raises(ForeignFileError, match=r"tensor 0.body.1.weight is missing; it belongs to another method"):
        learn(stages, network(data, norm=True), Settings(), checkpoint=Checkpoint(tmp_path))


@pytest.mark.parametrize("name", ["beginning", "stage-0", "latest"])
@pytest.mark.parametrize(
    "damage", [lambda c: c[:-3], lambda c: b"", lambda c: c.replace(b"plain", b"plane")], ids=["cut", "empty", "note"]
)
def test_a_damaged_checkpoint_is_a_sentence(tmp_path, name, damage):
    data = domain()

    class Kill(Silent):
        def stage_ends(self, run):
            if name == "latest":
                raise Killed

    def stages(net):
        yield one_stage(data, net)
        return net

    with contextlib.suppress(Killed):
        learn(stages, network(data), Settings(), Kill(), Checkpoint(tmp_path))
    path = tmp_path / f"{name}.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ForeignFileError, match=rf"{name}\.safetensors: is"):
        learn(stages, network(data), Settings(), checkpoint=Checkpoint(tmp_path))


def test_checkpoints_hold_no_pickle(tmp_path, monkeypatch):
    life(tmp_path, Clock(), monkeypatch)
    names = sorted(p.name for p in (tmp_path / "checkpoint").iterdir())
    assert names == [
        "beginning.safetensors", "latest.safetensors", "stage-0.safetensors", "stage-1.safetensors",
        "stage-2.safetensors",
    ]  # fmt: skip
    for name in names:
        read_tensors(tmp_path / "checkpoint" / name)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB, really mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)], capture_output=True, text=True
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(small_disk):
    fill_up_and_resume(small_disk)


def test_a_disk_that_says_it_is_full(tmp_path, monkeypatch):
    """The same where no disk can be mounted: every flush fails, as the kernel would have it."""

    def full(descriptor):
        if (tmp_path / "filler").exists():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    fill_up_and_resume(tmp_path, filler=b"x")


def fill_up_and_resume(place, filler=None):
    data = domain()

    def stages(net):
        yield one_stage(data, net)
        return net

    class Fill(Silent):
        def step_done(self, run):
            if run.step == 6:
                with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as file:
                    for _ in range(1 if filler else 1000):
                        file.write(filler or bytes(1024))

    whole = bits(learn(stages, network(data), Settings()))
    with pytest.raises(WriteError, match=r"latest.safetensors: cannot be written .No space left on device.; free some"):
        learn(stages, network(data), Settings(), Fill(), Checkpoint(place / "checkpoint", every=0.0))
    assert sorted(p.name for p in (place / "checkpoint").iterdir()) == ["beginning.safetensors", "latest.safetensors"]
    assert read_tensors(place / "checkpoint" / "latest.safetensors")[1]["step"] == 5
    (place / "filler").unlink()
    resumed = learn(stages, network(data), Settings(), checkpoint=Checkpoint(place / "checkpoint", every=0.0))
    assert same(whole, bits(resumed))


def test_a_checkpoint_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    data = domain()

    def stages(net):
        yield one_stage(data, net)

    with pytest.raises(WriteError, match=r"cannot be written"):
        learn(stages, network(data), Settings(), checkpoint=Checkpoint(tmp_path / "file" / "checkpoint"))


def test_stored_by_time(tmp_path, monkeypatch):
    """The first one right after the first step, later ones when their time has come."""
    now, written = [100.0], []
    monkeypatch.setattr(checkpoint_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint_module, "write_tensors", lambda path, *_: written.append(path.name))

    class Wait(Silent):
        def step_done(self, run):
            now[0] += 10.0

    data = domain()

    def stages(net):
        yield one_stage(data, net)
        return net

    learn(stages, network(data), Settings(), Wait(), Checkpoint(Path("nowhere"), every=30.0))
    latest = "latest.safetensors"
    assert written == ["beginning.safetensors", latest, latest, latest, latest, "stage-0.safetensors"]


def test_resuming_with_another_number_of_steps_is_refused(tmp_path):
    """Two processes instead of one halve the steps: the position in the stage would mean something else."""
    data = domain()

    class Kill(Silent):
        def step_done(self, run):
            if run.step == 3:
                raise Killed

    def stages(batch):
        def run(net):
            yield one_stage(data, net, batch=batch)
            return net

        return run

    with pytest.raises(Killed):
        learn(stages(8), network(data), Settings(), Kill(), Checkpoint(tmp_path, every=0.0))
    with pytest.raises(ForeignFileError, match=r"its stage has 12 steps, but this one 6; resume with the same"):
        learn(stages(16), network(data), Settings(), checkpoint=Checkpoint(tmp_path))

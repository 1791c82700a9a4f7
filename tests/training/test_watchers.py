"""Whoever looks on changes nothing, and tells the truth."""

import io
import itertools
import json

import numpy as np
import pytest
import torch
from rich.console import Console
from toys import CPU, bits, domain, network, one_stage, same

from juyi.errors import WriteError
from juyi.runs.files import read_tensors
from juyi.training import Rows, Settings, Silent, Stage, learn
from juyi.training.serving import compute
from juyi.training.watchers import Bar, Log, Records, Together

DATA = domain()


def run(watcher, serves=None, epochs=3, seed=0):
    def stages(net):
        stage = one_stage(DATA, net, epochs=epochs)
        yield Stage(stage.name, stage.over, stage.turns, epochs, serves=serves(net) if serves else None)
        return net

    return learn(stages, network(DATA), Settings(seed), watcher)


class Ticks:
    """A clock that moves on by so many seconds whenever it is read."""

    def __init__(self, by):
        self.by, self.now = by, 0.0

    def __call__(self):
        self.now += self.by
        return self.now


def test_the_log_has_a_line_an_epoch_with_what_happened(tmp_path):
    run(Log(tmp_path / "log.jsonl", "toy"))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(n["model"], n["stage"], n["epoch"], n["epochs"], n["step"]) for n in lines] == [
        ("toy", "labels", e, 3, 6 * e) for e in (1, 2, 3)
    ]  # fmt: skip
    assert all(set(n["losses"]) == {"label"} and n["learning_rate"] == 0.05 for n in lines)
    assert lines[2]["losses"]["label"] < lines[0]["losses"]["label"]
    assert all(a["seconds"] <= b["seconds"] for a, b in itertools.pairwise(lines))


def test_a_log_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(WriteError, match=r"log.jsonl: cannot be written .*free some space, then juyi resume"):
        run(Log(tmp_path / "file" / "log.jsonl", "toy"))


def test_records_are_the_scores_that_the_network_gives_in_eval_mode(tmp_path):
    validation, target = Rows(domain(20, seed=5), CPU), Rows(domain(30, seed=6), CPU)
    net = run(Records(tmp_path, "toy", validation, target))
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [f"toy-0-000{e}.safetensors" for e in (1, 2, 3)]
    found, note = read_tensors(tmp_path / names[-1])
    assert note == {"stage": "labels", "epoch": 3}
    for side, rows in (("source", validation), ("target", target)):
        expected = net(rows.x, side).half()
        assert found[side].dtype == torch.float16 and torch.allclose(found[side], expected, atol=2e-3)


def test_records_are_of_what_would_serve(tmp_path):
    other = network(DATA, seed=9)
    run(Records(tmp_path, "toy", None, Rows(domain(9), CPU)), serves=lambda net: other)
    found, _ = read_tensors(tmp_path / "toy-0-0002.safetensors")
    assert set(found) == {"target"}
    assert torch.allclose(found["target"], other.eval()(Rows(domain(9), CPU).x).half(), atol=2e-3)


def test_records_look_at_so_many_rows_at_most_and_at_all_parts_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(Records, "limit", 4)
    rows = Rows(domain(31), CPU)
    net = run(Records(tmp_path, "toy", rows, None), epochs=1)
    found, _ = read_tensors(tmp_path / "toy-0-0001.safetensors")
    assert torch.allclose(found["source"], net(rows.x[[0, 10, 20, 30]], "source").half(), atol=2e-3)


def test_looking_on_changes_no_bit_and_no_mode(tmp_path):
    rows = Rows(domain(20), CPU)
    modes = []

    class Modes(Silent):
        def step_done(self, run):
            modes.append([layer.training for layer in run.state.modules()[0].modules()])

    console = Console(file=io.StringIO())
    records = Records(tmp_path / "r", "toy", rows, rows)
    watched = run(Together([Modes(), records, Log(tmp_path / "l", "toy"), Bar(console, "toy", 0.0), Modes()]))
    assert all(all(m) for m in modes) and len(modes) == 36
    assert same(bits(watched), bits(run(None)))


def test_logits_in_parts():
    rows = Rows(domain(23), CPU)
    net = network(DATA)
    everything = np.arange(rows.size)
    whole = compute(net, rows, everything, net)
    assert torch.allclose(whole, compute(net, rows, everything, net, batch=5), atol=1e-5) and whole.shape == (23, 3)
    assert torch.allclose(compute(net, rows, np.array([4, 4, 0]), net), whole[[4, 4, 0]], atol=1e-5)


def shown(console_options, by, every=10.0):
    file = io.StringIO()
    run(Bar(Console(file=file, width=200, **console_options), "toy", every, Ticks(by)), epochs=2)
    return file.getvalue()


def test_without_a_terminal_a_line_now_and_then():
    lines = shown({}, by=4.0).splitlines()
    assert len(lines) == 5 and all("\x1b" not in line for line in lines)
    # 12 steps of 4 s each (the clock is read once a step), a line each 12 s; the epoch is that of the step
    assert [line.split(", ")[1] for line in lines[:4]] == ["epoch 1/2", "epoch 1/2", "epoch 2/2", "epoch 2/2"]
    assert [line.split(", ")[-1] for line in lines[:4]] == ["36 s left", "24 s left", "12 s left", "0 s left"]
    assert lines[0].startswith("toy: labels, epoch 1/2, label ")
    assert lines[4].startswith("toy: labels: 2 epochs in 52 s, label ")


def test_a_quick_stage_is_one_line():
    lines = shown({}, by=0.001).splitlines()
    assert len(lines) == 1 and lines[0].startswith("toy: labels: 2 epochs in 0 s, label ")


def test_on_a_terminal_a_bar_that_goes_away(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    text = shown({"force_terminal": True}, by=1.0)
    assert "epoch 1/2" in text and "epoch 0/2" not in text and "epoch 3/2" not in text
    last = text.rstrip().rpartition("\x1b[2K")[2]  # the bar's line is erased, then it is said how it went
    assert last.startswith("toy: labels: 2 epochs in 13 s, label ")


def test_a_bar_is_closed_when_the_run_is_cut_short():
    bar = Bar(Console(file=io.StringIO(), force_terminal=True), "toy")

    class Stop(Silent):
        def step_done(self, run):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Together([bar, Stop()]))
    bar.close()
    bar.close()
    assert bar._bar is None

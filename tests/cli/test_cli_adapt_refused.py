"""Methods that cannot do with what they are given, and shared options out of their range: one line each."""

import shutil
from pathlib import Path

import pytest

from cli.cli_data import QUICK, arrays

NETS = """
import torch
from torch import nn
def bare(shape, outputs):
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, outputs))
def other(shape, outputs):
    return nn.Sequential(nn.Linear(3, 5), nn.Linear(5, outputs))
def softened(shape, outputs):
    return nn.Sequential(nn.Linear(3, outputs), nn.Softmax(1))
def headless(shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.ReLU())
"""


def adapt(*more, method="dann", source="source.npz"):
    return ["adapt", source, "target.npz", "--method", method, *more]


@pytest.fixture(autouse=True)
def data(monkeypatch):
    arrays("source.npz")
    arrays("many.npz", n=200, classes=20)
    arrays("target.npz", seed=1, labels=False)
    Path("my_bare_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(".")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (adapt("--average", "1.5"), ["--average 1.5: is out of range; give 0 to 0.99999"]),
        (adapt("--average", "-0.1"), ["--average -0.1: is out of range"]),
        (adapt("--average", "nan"), ["--average nan: is out of range"]),
        (adapt("--augment", "strng"), ["--augment strng: is not allowed; did you mean strong?"]),
        (adapt("--head", "cosinus"), ["--head cosinus: is not allowed; did you mean cosine?"]),
        (adapt("--class-shares", "estimate"), ["--class-shares estimate: is not allowed; did you mean estimated?"]),
        (adapt("--class-shares", "estimated", method="adabn"), ["--class-shares estimated: AdaBN cannot have it"]),
        (adapt("--exclude-operations", "rotat"), ["rotat: there is no such operation; did you mean rotate?"]),
        (adapt("--exclude-operations", "invert,colr"), ["colr: there is no such operation; did you mean colour?"]),
        (adapt("--batch-norm", "none", method="adabn"), ["AdaBN", "network mlp has none", "--batch-norm domain"]),
        (adapt("--net", "my_bare_nets:bare", method="adabn"), ["AdaBN", "my_bare_nets:bare has none"]),
        (adapt("--net", "my_bare_nets:softened", method="shot"), ["my_bare_nets:softened", "something comes after it"]),
        (adapt("--net", "my_bare_nets:headless", method="shot"), ["my_bare_nets:headless", "body, head and width"]),
        (adapt(method="mme"), ["target.npz: MME needs some labels of the target", "--target-labels"]),
        (adapt("--batch", "16", method="deep_jdot", source="many.npz"), ["many.npz: batches of 16", "larger --batch"]),
        (adapt("--alpha", "-1", method="deep_jdot"), ["--alpha -1.0: is out of range"]),
        (adapt("--temperature", "0", method="mcc"), ["--temperature 0.0: is out of range"]),
        (adapt("--threshold", "1.01", method="adamatch"), ["--threshold 1.01: is out of range; give 0 to 1"]),
        (adapt("--layer", "score", method="deep_coral"), ["--layer score: is not allowed; did you mean scores?"]),
        (adapt("--sketch", "0", method="cdan"), ["--sketch 0: is out of range"]),
        (adapt("--label-smoothing", "1", method="shot"), ["--label-smoothing 1.0: is out of range"]),
        (adapt("--entropy-weight", "-1", method="mme"), ["--entropy-weight -1.0: is out of range"]),
    ],
)  # fmt: skip
def test_what_is_refused(refused, arguments, words):
    refused([*arguments, *([] if "--batch" in arguments else ["--batch", "32"])], *words)


def test_large_enough_batches_are_taken(juyi):
    """Of 20 classes in batches of 100, .95¹⁰⁰ · 20 = .12 are missing on average."""
    arrays("there.npz", n=200, classes=20, seed=1)
    arguments = ["adapt", "many.npz", "there.npz", "--method", "deep_jdot", "--batch", "100", "--epochs", "1"]
    said = juyi(*arguments, "--out", "run", "--precision", "float32")
    assert said.code == 0, said.err


def test_a_run_without_batch_norm_leaves_adabn_nothing_to_do(juyi, refused):
    assert juyi("train", "source.npz", "--batch-norm", "none", "--out", "start", *QUICK).code == 0
    refused(adapt(method="adabn", source="start"), "AdaBN", "network mlp has none")


def test_a_run_of_a_network_of_ones_own_needs_it_again(juyi, refused):
    assert juyi("train", "source.npz", "--net", "my_bare_nets:bare", "--out", "start", *QUICK).code == 0
    refused(adapt(method="shot", source="start"), "my_bare_nets:bare' is not built in; give it again with --net")
    refused(adapt("--net", "my_bare_nets:other", method="shot", source="start"), "does not fit its description")
    refused(adapt("--net", "mlp", method="shot", source="start"), "does not fit its description")
    again = juyi(*adapt("--net", "my_bare_nets:bare", "--out", "run", *QUICK, method="shot", source="start"))
    assert again.code == 0, again.err


def test_a_run_whose_model_is_gone(juyi, refused):
    assert juyi("train", "source.npz", "--out", "start", *QUICK).code == 0
    shutil.rmtree("start/models")
    refused(adapt(method="shot", source="start"), "start/models/source_only.json")

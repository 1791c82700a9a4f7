"""The command line and YAML files: what is wrong is named, with the nearest right one, before a file is written."""

import json
from pathlib import Path

import pytest

from cli.cli_data import QUICK, arrays
from juyi.adapt import METHODS
from juyi.cli.options import allowed


def adapt(*more):
    return ["adapt", "source.npz", "target.npz", *more]


@pytest.fixture
def data():
    arrays("source.npz")
    arrays("target.npz", seed=1, labels=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["adpt"], ['"adpt"', 'Did you mean "adapt"?']),
        (["adapt"], ["SOURCE is missing", "a folder, a file, or NAME@SPLIT", "juyi adapt --help"]),
        (["adapt", "source.npz"], ["TARGET is missing", "juyi adapt --help"]),
        (["predict"], ["RUN is missing"]),
        (adapt("third.npz"), ["third.npz: is one word too many"]),
        (adapt("--epoch", "3"), ["--epoch", "Did you mean --epochs?"]),
        (adapt("--epo", "3"), ["--epo"]),
        (adapt("--no-overwrite"), ["--no-overwrite", "Did you mean --overwrite?"]),
        (adapt("--epochs"), ["--epochs: needs a value"]),
        (adapt("--epochs", "1", "--epochs", "2"), ["--epochs: is given more than once"]),
        (adapt("--epochs", "abc"), ["--epochs", "abc is no whole number"]),
        (adapt("--epochs", "1.5"), ["--epochs", "1.5 is no whole number"]),
        (adapt("--size", "28.5"), ["--size", "28.5 is no whole number"]),
        (adapt("--epochs", "0"), ["--epochs 0: is out of range; give 1 to 100,000"]),
        (adapt("--batch", "1"), ["--batch 1: is out of range; give 2 to 65,536"]),
        (adapt("--seed", "-1"), ["--seed -1: is out of range; give 0 or more"]),
        (adapt("--learning-rate", "-0.1"), ["--learning-rate -0.1: is out of range; give 0 to 10"]),
        (adapt("--learning-rate", "nan"), ["--learning-rate nan: is out of range"]),
        (adapt("--learning-rate", "fast"), ["--learning-rate", "fast"]),
        (adapt("--momentum", "1"), ["--momentum 1.0: is out of range; give 0 to 0.9999"]),
        (adapt("--optimiser", "sdg"), ["--optimiser sdg", "did you mean sgd?"]),
        (adapt("--precision", "float23"), ["--precision float23", "did you mean float32?"]),
        (adapt("--device", "tpu"), ["--device tpu"]),
        (adapt("--method", "dan"), ["--method dan: there is no such method; did you mean dann?"]),
        (adapt("--method=dan"), ["--method dan: there is no such method; did you mean dann?"]),
        (adapt("--method"), ["--method: needs a value"]),
        (adapt("--adversarial-epochs", "3"), ["--adversarial-epochs: is a setting of adda", "--method"]),
        (adapt("--net", "mpl"), ["--net mpl: there is no such network", "did you mean mlp?"]),
        (adapt("--net", "lenet5"), ["--net lenet5: is a network for images", "use mlp"]),
        (adapt("--net", "nowhere:net"), ["--net nowhere:net: cannot be imported"]),
        (adapt("--net", "own_nets:raises"), ["--net own_nets:raises: ", "on purpose"]),
        (adapt("--net", "own_nets:narrow"), ["--net own_nets:narrow: gives scores of shape"]),
        (["train", "source.npz", "--method", "dann"], ["--method"]),
        (["train", "source.npz", "--target-labels", "1"], ["--target-labels"]),
        (["methods", "dan"], ["dan: there is no such method; did you mean dann?"]),
        (["methods", "--room", "adap"], ["--room adap: there is no such room; did you mean adapt?"]),
        (["methods", "--for", "adap"], ["--room adap: there is no such room; did you mean adapt?"]),
        (["data", "lst"], ['"lst"', 'Did you mean "list"?']),
        (["data", "make", "mnist_mm"], ["mnist_mm: is no recipe; did you mean mnist_m?"]),
        (["demo", "--seed", "-1"], ["--seed -1: is out of range; give 0 or more"]),
    ],
)  # fmt: skip
def test_a_wrong_command_line(data, refused, monkeypatch, arguments, words):
    Path("own_nets.py").write_text(OWN_NETS)
    monkeypatch.syspath_prepend(".")
    refused(arguments, *words)


OWN_NETS = """
import torch
class Own(torch.nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.body, self.head, self.width = torch.nn.Linear(3, 4), torch.nn.Linear(4, outputs), 4
def raises(shape, outputs):
    raise ValueError("on purpose")
def narrow(shape, outputs):
    return Own(1)
def good(shape, outputs):
    return Own(outputs)
"""


def test_cuda_that_is_not_there(data, refused, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused(adapt("--device", "cuda"), "--device cuda: torch sees no GPU on this machine; use --device cpu")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch: 3", ["epoch is no option; did you mean epochs?"]),
        ("learning-rat: 0.1", ["learning-rat is no option; did you mean learning-rate?"]),
        ("adversarial_epochs: 3", ["adversarial-epochs is no option"]),
        ("method: dan", ["dan: there is no such method; did you mean dann?"]),
        ("source: here", ["source is given on the command line, not in a file"]),
        ("config: other.yaml", ["config is given on the command line"]),
        ("debug: true", ["debug is given on the command line"]),
        ("epochs: lots", ["epochs is 'lots'; give a whole number"]),
        ("epochs: 1.5", ["epochs is 1.5; give a whole number"]),
        ("epochs: true", ["epochs is True; give a whole number"]),
        ("epochs:", ["epochs is nothing; give a whole number"]),
        ("epochs: [1, 2]", ["epochs is a list; give a whole number"]),
        ("epochs: {a: 1}", ["epochs is a dict; give a whole number"]),
        ("epochs: 0", ["--epochs 0: is out of range; give 1 to 100,000"]),
        ("skip-bad: maybe", ["skip-bad is 'maybe'; give true or false"]),
        ("skip-bad: 1", ["skip-bad is 1; give true or false"]),
        ("label: no", ["label is False; give text, in quotes"]),
        ("test: 2020-01-01", ["test is a date; give text, in quotes"]),
        ("epochs: 1\nepochs: 2", ["gives epochs twice"]),
        ("learning-rate: 0.1\nlearning_rate: 0.2", ["gives learning-rate twice"]),
        ("- epochs", ["holds no options", "learning-rate: 0.01"]),
        ("epochs", ["holds no options"]),
        ("", ["holds no options"]),
        ("1: 2", ["holds no options"]),
        ("a: [", ["is not YAML"]),
        ("a: " + "[" * 5000, ["is not YAML"]),
        ("a: &a [1,1]\nb: &b [*a,*a]\nc: &c [*b,*b]\nepochs: *c", ["a is no option"]),
        ("epochs: !!python/object/apply:os.mkdir [made]", ["only plain values are read, never code"]),
        ("epochs: !!python/name:os.system", ["only plain values are read, never code"]),
    ],
)
def test_a_wrong_yaml_file(data, refused, text, words):
    Path("wrong.yaml").write_text(text)
    refused(adapt("--config", "wrong.yaml"), *words, *(["--config wrong.yaml"] if "--epochs" not in words[0] else []))


def test_a_yaml_file_that_cannot_be_read(data, refused):
    refused(adapt("--config", "gone.yaml"), "--config gone.yaml: cannot be read (No such file or directory)")
    refused(adapt("--config", "."), "--config .: cannot be read (Is a directory)")
    Path("latin.yaml").write_bytes(b"label: caf\xe9")
    refused(adapt("--config", "latin.yaml"), "--config latin.yaml: cannot be read (it is not UTF-8 text)")


def test_the_command_line_counts_more_than_yaml_and_yaml_more_than_defaults(data, juyi):
    Path("adda.yaml").write_text(
        "method: adda\nepochs: 7\nlearning-rate: 1e-2\nadversarial_epochs: '1'\n"
        "batch: 16\nprecision: float32\ntarget-labels: 0\nout: run\njson: true\n"
    )
    said = juyi(*adapt("--config=adda.yaml", "--epochs", "1"))
    assert said.code == 0, said.err
    record = json.loads(said.out)
    assert record["method"] == "adda"
    settings = record["hyperparameters"]
    assert [settings[name] for name in ("epochs", "learning_rate", "adversarial_epochs", "batch", "critic_width")] == [
        1, 0.01, 1, 16, 500
    ]  # fmt: skip
    assert Path("run/run.json").is_file()


def test_a_method_on_the_command_line_counts_more_than_that_of_a_yaml_file(data, juyi):
    Path("a.yaml").write_text("method: adda\nout: run\n")
    said = juyi(*adapt("--config", "a.yaml", "--method", "source_only", "--json", *QUICK))
    assert said.code == 0, said.err
    assert json.loads(said.out)["method"] == "source_only"


def test_a_network_of_ones_own_runs_and_predicts_when_given_again(data, juyi, refused, monkeypatch):
    Path("own_nets.py").write_text(OWN_NETS)
    monkeypatch.syspath_prepend(".")
    assert juyi(*adapt("--net", "own_nets:good", "--out", "run", *QUICK)).code == 0
    refused(["predict", "run", "target.npz"], "is not built in", "--net module:factory")
    assert juyi("predict", "run", "target.npz", "--net", "own_nets:good").code == 0


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_alone_it_prints_help(juyi, arguments):
    said = juyi(*arguments)
    assert (said.code, said.err) == (0, "")
    for verb in ("adapt", "data", "demo", "methods", "predict", "report", "resume", "train"):
        assert f" {verb} " in said.out


def test_the_version(juyi):
    import juyi as package

    assert juyi("--version").out.strip() == package.__version__


@pytest.mark.parametrize("method", METHODS)
def test_help_shows_every_setting_of_a_method_once(juyi, monkeypatch, method):
    monkeypatch.setenv("COLUMNS", "200")
    said = juyi("adapt", "--method", method, "--help")
    assert said.code == 0
    for option in ("--learning-rate", "--epochs", "--seed", "--target-labels", "--intersect-classes", "--json"):
        assert said.out.count(f"│ {option} ") == 1, option
    assert "seed (0 or more)" in said.out
    assert "(1 to 100,000)" in said.out
    for noise in ("default: False", "e+", "random-state", "--no-flip", "NoneType"):
        assert noise not in said.out, noise


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0, 2**63 - 1, "0 or more"), (1, 100_000, "1 to 100,000"), (0.0, 0.9999, "0 to 0.9999"), (None, None, "")],
)
def test_ranges_read_well(low, high, words):
    assert allowed({"choices": None, "low": low, "high": high, "help": ""}) == words


@pytest.mark.parametrize(
    "verb",
    [["adapt"], ["train"], ["predict"], ["resume"], ["report"], ["methods"], ["demo"],
     ["data", "list"], ["data", "check"], ["data", "make"]],
)  # fmt: skip
def test_every_verb_has_help_json_and_debug(juyi, verb):
    said = juyi(*verb, "--help")
    assert said.code == 0
    for option in ("--json", "--debug"):
        assert option in said.out


def test_debug_shows_the_traceback_wherever_it_stands(juyi):
    for arguments in (["--debug", "report", "gone"], ["report", "gone", "--debug"]):
        said = juyi(*arguments)
        assert said.code == 2
        assert "Traceback" in said.err
        assert said.err.splitlines()[-1].startswith("juyi: gone: there is no such folder")


def test_a_fault_of_juyi_itself_is_said_as_one(juyi, monkeypatch):
    monkeypatch.setattr("juyi.cli.data.known_data", lambda: 1 / 0)
    said = juyi("data", "list")
    assert (said.code, said.out) == (1, "")
    assert said.err == "juyi: a fault in Juyi itself (ZeroDivisionError: division by zero); --debug shows where\n"


def test_an_error_stays_one_line_whatever_a_name_holds(refused):
    line = refused(["train", "no\nsuch\x1b[31mplace/x"], "no such", "place/x: there is no such file or folder")
    assert "\x1b" not in line

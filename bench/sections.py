"""The sections of bench/RESULTS.md on distillation, export and cold starts, each from its folder of results."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import stats

RESULTS = Path(__file__).parent / "results"


def read(folder: str) -> dict[str, dict]:
    """The records of a folder, by the names of their files."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((RESULTS / folder).glob("*.json"))}


def mean_and_half(values: np.ndarray) -> tuple[float, float]:
    """The mean, and half of its 95 % interval by Student's t; NaN for a single value."""
    if len(values) < 2:
        return float(values.mean()), np.nan
    return float(values.mean()), stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))


def section(title: str, lead: str, head: str, lines: list[str]) -> list[str]:
    """A section with a table; nothing where there are no results."""
    columns = head.count("|") - 1
    return [f"\n## {title}\n", f"{lead}\n", head, "| --- " * columns + "|", *lines] if lines else []


def ranged(found: dict, digits: int = 3, scale: float = 1.0, sign: str = "") -> str:
    """A figure with its interval."""
    value, low, high = (f"{scale * found[key]:{sign}.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def personal() -> list[str]:
    """Personal models: each run's models, means over clients."""
    lines = []
    for folder in sorted(path.name for path in RESULTS.glob("personal_*") if path.is_dir()):
        for name, record in read(folder).items():
            for model, found in record["personal"].items():
                mean = ranged({"value": found["mean"], "low": found["low"], "high": found["high"]})
                lines.append(f"| {folder}, {name} | `{model}` | {mean} | {found['worst_tenth']:.3f} |")
    lead = (
        "Means over clients of the accuracy on each one's own test, with 95 % intervals over clients. The commands are "
        "in\n`bench/run.py`."
    )
    return section("Personal models", lead, "| run | model | mean over clients | worst tenth |", lines)


def attacks() -> list[str]:
    """Clients that lie: what honest ones lose under each rule, paired by client."""
    found = {(one["attack"], one["rule"]): one for one in read("defence").values() if "attack" in one}
    lines = []
    for (attack, rule), one in found.items():
        for model, values in one["accuracy"].items():
            plain = found.get(("none", "mean"))
            lost = ""
            if plain and plain is not one:
                mean, half = mean_and_half(100.0 * (np.array(plain["accuracy"][model]) - values))
                lost = f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"
            lines.append(f"| {attack} | {rule} | `{model}` | {np.mean(values):.3f} | {lost} |")
    lead = (
        "CIFAR-10, 20 clients, Dirichlet 0.1, LeNet-5, 20 rounds; 3 clients send their change turned round, 3 others "
        "noise\n(`python bench/defence.py`, one seed). Accuracy of the 14 honest clients after the last round, and "
        "points lost against\nno attack and the plain mean, paired by client."
    )
    head = "| attack | rule | model | honest clients | points lost (95 % interval) |"
    return section("Personal models under attack", lead, head, lines)


def private() -> list[str]:
    """Noise: accuracy beside none, and ε by two libraries."""
    lines = []
    for one in read("defence").values():
        if "noise" not in one:
            continue
        epsilon, again = "–", "–"
        if "recomputed" in one:
            worst = max(range(len(one["recomputed"])), key=lambda k: one["privacy"]["spent"][k]["epsilon"])
            epsilon = f"{one['privacy']['spent'][worst]['epsilon']:.3f}"
            again = " / ".join(f"{one['recomputed'][worst][way]:.3f}" for way in ("renyi", "loss_distribution"))
        lines += [
            f"| {one['noise']} | `{model}` | {mean:.3f} | {epsilon} | {again} |" for model, mean in one["means"].items()
        ]
    lead = (
        "MNIST, 20 clients, Dirichlet 0.5, LeNet-5 without batch norm, 20 rounds, ε = 8, δ = 1e-5 "
        "(`python bench/defence.py`, one seed).\nε of the client that spent most, and the same by a second library, by "
        "Rényi divergence and by the tighter privacy loss\ndistribution."
    )
    head = "| noise hides | model | mean over clients | ε | ε by the second library |"
    return section("Personal models in private", lead, head, lines)


def shallow() -> list[str]:
    """Shallow methods: each on the shift that it is made for, growth with the rows, and images by their features."""
    found = read("shallow") if (RESULTS / "shallow").is_dir() else {}
    made = [
        f"| `{r['method']}` | {r['shift']} | {r['before']:.3f} | {r['after']:.3f} | {r['better']} of {r['seeds']} |"
        for part in ("synthetic", "synthetic-changed")
        for r in found.get(part, {}).get("results", [])
    ]
    grown = [
        f"| `{r['method']}` | {r['rows']:,} | {r['seconds']:.1f} s | {r['peak_gib']:.2f} GiB |"
        for name, record in found.items()
        for r in record["results"]
        if name.startswith("growth") and "seconds" in r
    ]
    lead = (
        "`python bench/shallow.py synthetic`; accuracy on the target, means over seeds, without transfer and with it\n"
        "(`jdot` with `follow_shares`; here and on images)."
    )
    rows = "`python bench/shallow.py growth`; 100 columns, so many rows a side; processor seconds, one core."
    return [
        *section(
            "Shallow methods on the shifts they are made for",
            lead,
            "| method | shift | without | with | better |",
            made,
        ),
        *section("Growth of shallow methods", rows, "| method | rows a side | time | peak memory |", grown),
        *shallow_on_images(
            [r for part in found if part.startswith(("digits", "pacs")) for r in found[part]["results"]]
        ),
    ]


def shallow_on_images(pairs: list[dict]) -> list[str]:
    """Shallow methods on the features of a network: the best one, and the one that is chosen without labels."""
    rows = [
        (
            r["accuracy"]["source_only"],
            max(r["accuracy"].values()),
            r["accuracy"][r["chosen"]],
            r["accuracy"][r["serves"]],
        )
        for r in pairs
    ]
    lines = [
        f"| {r['source']} → {r['target']} | {none:.3f} | {best:.3f} | `{r['chosen']}` {chosen:.3f} | {served:.3f} |"
        for r, (none, best, chosen, served) in zip(pairs, rows, strict=True)
    ]
    if rows:
        lines.append("| mean | " + " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0)) + " |")
    lead = (
        "`python bench/shallow.py digits`, `pacs`; on features of a network that has learnt the source; chosen\n"
        "without labels of the target, on rows of the source that the network has not seen."
    )
    return section("Shallow methods on images", lead, "| pair | without | best | chosen | served |", lines)


def shallow_peers() -> list[str]:
    """Shallow methods beside skada, adapt and POT: seconds, their ratio, scores, and how often answers are the same."""
    path, lines = RESULTS / "peers_shallow.json", []
    results = json.loads(path.read_text())["results"] if path.is_file() else []
    for r in results:
        ours, theirs = r["juyi"], r["theirs"]
        start = f"| `{r['method']}` | {r['peer']} | {ours.get('processor_seconds', 0):.2f} s | "
        if "ratio" in r:
            scores = f"{ours['score']:.3f}, {theirs['score']:.3f}"
            end = f"{theirs['processor_seconds']:.2f} s | {r['ratio']:.2f} | {scores} | {r['alike']:.3f} |"
        else:
            end = f"{theirs.get('failed') or ours['failed']} |  |  |  |"
        lines.append(start + end)
    fastest = {}
    for r in results:
        if "ratio" in r:
            fastest[r["method"]] = min(r["ratio"], fastest.get(r["method"], math.inf))
    mean = math.exp(sum(map(math.log, fastest.values())) / len(fastest)) if fastest else math.nan
    lead = (
        "`python bench/peers/shallow.py`: 5,000 + 5,000 rows of 100 columns, five classes, one thread; processor\n"
        "seconds of learning and answering. Against the fastest peer of each method the geometric mean of the ratios\n"
        f"is {mean:.2f}. Scores: accuracy (of `tradaboost_r2` R²), Juyi's and the peer's. Alike: the share of target\n"
        "rows that both answer the same."
    )
    head = "| method | peer | Juyi | peer's | ratio | scores | alike |"
    return section("Shallow methods beside their peers", lead, head, lines)


def federation() -> list[str]:
    """Personal models that are killed, on real processes, and beside Flower's own simulation."""
    lines = []
    killed = RESULTS / "federation_killed.json"
    if killed.is_file():
        r = json.loads(killed.read_text())
        told = f"{r['status']} in {r['seconds']:.0f} s"
        lines.append(f"| four nodes, one killed and started again | {told} | {r['command']} |")
    networks = RESULTS / "federation_networks.json"
    if networks.is_file():
        r = json.loads(networks.read_text())
        lost, back = (r["participation"][k]["round"] for k in cut_and_back(r["participation"]))
        told = f"{r['status']} in {r['seconds']:.0f} s; without it in round {lost}, with it again in round {back}"
        lines.append(f"| four nodes, each in a network of its own, one cut off and back | {told} | {r['command']} |")
    kills = RESULTS / "personalize_kills.json"
    if kills.is_file():
        r = json.loads(kills.read_text())
        same, files = (sum(run[key] for run in r["runs"]) for key in ("same_files", "files"))
        told = f"{same} of {files} files of models the same to the bit"
        lines.append(f"| killed at {len(r['kills'])} random moments and resumed | {told} | {r['command']} |")
    for kind in ("nothing", "training"):
        path = RESULTS / "federation_ray" / f"{kind}.json"
        if path.is_file():
            r = json.loads(path.read_text())
            told = f"{r['ratio']:.1f} ({r['low']:.1f} to {r['high']:.1f})"
            lines.append(f"| Flower's simulation on Ray / Juyi's, a round with {kind} | {told} | {r['command']} |")
    lead = "Processes on this machine; how each is measured stands at the head of its script."
    return section("Personal models, killed and federated", lead, "| what | found | command |", lines)


def cut_and_back(participation: list[dict]) -> tuple[int, int]:
    """In which lines of a run somebody is lost for the first time, and after it all answer again."""
    lost = next(k for k, line in enumerate(participation) if line["lost"])
    every = max(len(line["answered"]) for line in participation)
    return lost, next(k for k, line in enumerate(participation) if k > lost and len(line["answered"]) == every)


def omitted() -> list[str]:
    """Classes that the transfer set lacks: errors before and after correcting the biases."""
    lines = []
    for part, what, paper in (("three", "no 3", "206, 109"), ("seven_eight", "7 and 8 alone", "4,730, 1,320")):
        for name, record in read(f"omitted_{part}").items():
            errors = {r["model"]: r["errors"] for r in record["results"]}
            cells = " | ".join(f"{errors[model]:,}" for model in ("before", "labels", "shares"))
            lines.append(f"| {what} | {name} | {cells} | {paper} |")
    lead = (
        "Errors on the 10,000 test images of a student of `mnist_mlp` that learnt from soft answers alone, then with "
        "its class\nbiases corrected by the labels of 5,000 held-out rows, or without labels by the teacher's class "
        "shares on them\n(`python bench/distill_omitted.py`). The paper moved the biases to do best on the test."
    )
    head = "| transfer set | run | before | by labels | by shares | paper: before, after |"
    return section("Classes that the transfer set lacks", lead, head, lines)


def specialists() -> list[str]:
    """Specialists: the gain of the combination over the generalist, and of its student."""
    lines = []
    for name, record in read("specialists").items():
        for gain in record["gain"]:
            if gain["rows"] == "all":
                shown = ranged({**gain, "value": gain["gain"]}, 4, sign="+")
                lines.append(f"| {name} | {gain['of']} over {gain['over']} | {shown} | {gain['n']:,} |")
    lead = "Gain in accuracy on the test, paired on the same rows (`python bench/specialists.py`)."
    return section("Specialists", lead, "| run | gain of | accuracy, 95 % interval | rows |", lines)


def perturbations() -> list[str]:
    """Universal perturbations: how often they change an answer, beside random signs."""
    groups = defaultdict(list)
    for name, record in read("perturbations").items():
        data, size, _ = name.split("-")
        groups[data, float(size)].append(record)
    lines = []
    for (data, size), found in sorted(groups.items()):
        fooled = ", ".join(f"{one['fooling_rate']['value']:.3f}" for one in found)
        random = ", ".join(f"{one['random_signs']['mean']:.3f}" for one in found)
        lines.append(f"| {data} | {size:g}/255 | {fooled} | {random} | {len(found)} |")
    lead = (
        "Share of test images whose answer changes, by a perturbation that was learnt without data (`aaa`), and by "
        "random signs of\nthe same size, the mean of ten (`python bench/perturbations.py`); one figure a seed."
    )
    return section("Universal perturbations", lead, "| data | size | fooled | by random signs | seeds |", lines)


def impressions() -> list[str]:
    """Ways to make images without data, at equal number."""
    groups = defaultdict(list)
    for name, record in read("impressions").items():
        groups[name.rpartition("-")[0]].append(record)
    keys = ("distance", "vendi", "relation", "accuracy")
    lines = []
    for way, found in groups.items():
        means = [np.mean([one[key]["value"] for one in found]) for key in keys]
        lines.append(f"| {way} | {' | '.join(f'{mean:.3f}' for mean in means)} | {len(found)} |")
    lead = (
        "1,000 images of MNIST from each way; a `lenet5_half` learns from them by the same recipe "
        "(`python bench/impressions.py`).\nVariety within a class (mean distance of features, Vendi score), whether "
        "classes are related as in real images,\nand the student's accuracy on the test; means of seeds."
    )
    head = "| way | distance | Vendi score | relation | accuracy | seeds |"
    return section("Images without data, at equal number", lead, head, lines)


def ablation() -> list[str]:
    """Parts of DAFL's loss."""
    lines = [f"| {' + '.join(r['parts']) or 'none'} | {r['accuracy']:.3f} |" for r in read("dafl_ablation").values()]
    lead = (
        "600 steps on MNIST without its data, scored on development rows, one seed (`python bench/dafl_ablation.py`)."
    )
    return section("Parts of the generator's loss", lead, "| parts | accuracy |", lines)


def exports() -> list[str]:
    """Files against torch, int8 without data, budgets, times."""
    found = read("export")
    lines = []
    for name, record in found.items():
        for model, one in record.get("models", {}).items():
            lost = [ranged(one["lost"][key], 2, 100.0, "+") for key in one["lost"]]
            lines.append(f"| {name} | {model} | {one['differ']} of {one['rows']:,} | {' | '.join(lost)} |")
    lead = (
        "Predictions of the ONNX file that differ from torch's on the test, and what int8 costs, in points of accuracy,"
        "\ncalibrated with impressions made from the model (`python bench/export.py`)."
    )
    head = "| run | model | differ | float32 less int8 without data | int8 with data less without |"
    made = section("Exports", lead, head, lines)
    budgets = [
        f"| {', '.join(f'{key} {value}' for key, value in r['limits'].items())} | {r['budget']['chosen']} | "
        f"{', '.join(f'{name} {value:.4f}' for name, value in r['accuracy_in_full'].items())} | "
        f"{100 * r['below_the_best']:.2f} |"
        for r in found.values()
        if "limits" in r
    ]
    lead = (
        "MNIST: the student that was chosen, and every candidate taught in full, on the test; nothing was chosen by it."
    )
    made += section("Budgets", lead, "| budget | chosen | accuracy in full | points below the best |", budgets)
    if "latency" in found:
        spread = ", ".join(f"{name} {100 * value:.0f} %" for name, value in found["latency"]["spread"].items())
        made += [f"\nSeven repeated measurements of one row's time, largest less least over the median: {spread}."]
    return made


def backbones() -> list[str]:
    """What neighbours say in the features of backbones."""
    lines = []
    for name, record in read("pretrain").items():
        for one in record["results"]:
            if one["on"]["role"] == "test":
                minutes = f"{sum(record['seconds'].values()) / 60:.0f} min" if one["model"] == record["serves"] else ""
                lines.append(f"| {name} | {one['model']} | {ranged(one)} | {minutes} |")
    lead = (
        "The test by the votes of the 200 nearest labelled training images, τ = 0.1; labels took no part in learning "
        "(`python bench/cold_start.py`).\n`_embedding`: in the embeddings, as in the paper, instead of the backbone's "
        "features. Minutes of pretraining on one thread, with other work beside."
    )
    return section("Backbones without labels", lead, "| backbone | model | right by neighbours | pretraining |", lines)


def cold_start() -> list[str]:
    """Few labels: frozen, tuned, from scratch, on five draws of labels each."""
    groups = defaultdict(dict)
    for record in read("cold_start").values():
        groups[record["task"], record["labels_a_class"]][record["method"]] = record
    lines = []
    for (task, count), found in sorted(groups.items()):
        for method, record in found.items():
            values = np.array([one["accuracy"] for one in record["draws"]])
            setting = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in record["chosen"].items())
            less = ""
            if method != "scratch" and "scratch" in found:  # the same draws of labels
                mean, half = mean_and_half(values - [one["accuracy"] for one in found["scratch"]["draws"]])
                less = f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})"
            mean, half = mean_and_half(values)
            shown = f"{mean:.3f}" + (f" ± {half:.3f}" if len(values) > 1 else "")
            lines.append(f"| {task} | {count} | {method} | {shown} | {less} | {setting} |")
    lead = (
        "Accuracy on the test, mean of five draws of labels and half of its 95 % interval; each method chose one of "
        "three settings on the labels\nof draw 0 (`python bench/cold_start.py`). `linear`: a head on the frozen "
        "backbone; `untrained`: the same on the network before it learnt;\n`scratch`: the same network from random "
        "weights, all of it trained. The gain over `scratch` is paired by draw."
    )
    head = "| data | labels a class | method | accuracy | over scratch (95 % interval) | setting |"
    return section("Cold start", lead, head, lines)


def relations() -> list[str]:
    """Roles carried over by relations: the fly, and on its left half alone; then with relations laid anew."""
    groups = defaultdict(list)
    for name, record in read("relational").items():
        for found in record["results"]:
            groups[name.rpartition("-")[0], found["model"]].append(found)
    lines = []
    for (task, way), found in groups.items():
        if len(found) == 1:
            shown = ranged(found[0], 1, 100)
        else:
            mean, half = mean_and_half(np.array([100 * one["value"] for one in found]))
            shown = f"{mean:.1f} ({mean - half:.1f} to {mean + half:.1f})"
        lines.append(f"| {task} | {way} | {shown} | {len(found)} |")
    lead = (
        "Types of neurons in a fly's mushroom body, carried over by relations alone; percent right, 95 % interval "
        "(`python bench/relational.py`).\n`fly`: left to right; `halves` and `thinned`: on the left alone, where "
        "settings were chosen; `rewired`: the right's relations laid\nanew with the same degrees."
    )
    return section("Relations", lead, "| task | way | right, % | seeds |", lines)


def heterogeneous() -> list[str]:
    """Other columns: each method on each task, beside a model of the few rows alone."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for name, record in read("heterogeneous").items():
        values = {found["model"]: found["value"] for found in record["results"]}
        for model, value in values.items():
            groups[name.rpartition("-")[0], model].append((value, values["target_only"]))
    lines = []
    for (task, model), found in groups.items():
        mean, half = mean_and_half(np.array([value for value, _ in found]))
        better = sum(value > floor for value, floor in found)
        won = "" if model == "target_only" else f"{better} of {len(found)}"
        lines.append(f"| {task} | `{model}` | {mean:.3f} ({mean - half:.3f} to {mean + half:.3f}) | {won} |")
    lead = "Other columns here than there, and few labels or pairs (`python bench/heterogeneous.py`): means of seeds."
    return section("Other columns", lead, "| task | method | accuracy | better than the few rows alone |", lines)


def arriving() -> list[str]:
    """Mistakes on a stream with four shifts."""
    groups = defaultdict(list)
    for record in read("online_transfer").values():
        for way, mistakes in record["mistakes"].items():
            groups[way].append((mistakes, record["mistakes"]["online_transfer"]))
    lines = []
    for way, found in groups.items():
        mean, half = mean_and_half(np.array([mistakes for mistakes, _ in found], float))
        fewer = "" if way == "online_transfer" else f"{sum(ours < theirs for theirs, ours in found)} of {len(found)}"
        lines.append(f"| {way} | {mean:,.0f} ({mean - half:,.0f} to {mean + half:,.0f}) | {fewer} |")
    lead = "Mistakes on 20,000 rows with 4 abrupt shifts (`python bench/online_transfer.py`), means of seeds."
    return section("Rows that arrive", lead, "| way | mistakes | `online_transfer` makes fewer |", lines)


def sections() -> list[str]:
    """All of them."""
    return [
        *omitted(), *specialists(), *perturbations(), *impressions(), *ablation(), *exports(), *personal(),
        *attacks(), *private(), *federation(), *backbones(), *cold_start(), *shallow(), *shallow_peers(), *relations(),
        *heterogeneous(), *arriving(),
    ]  # fmt: skip

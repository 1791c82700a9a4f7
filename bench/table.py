"""Make bench/RESULTS.md, and the tables between the markers of both READMEs, from the result files.

python bench/table.py            write them
python bench/table.py --check    fail if they are not what the result files say
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from rows import HEADLINES, ROWS
from sections import mean_and_half, sections

HERE = Path(__file__).parent
ROOT = HERE.parent
BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"

HEADS = {
    "en": "| what | test accuracy, mean of seeds | 95 % interval of the mean | seeds | paper | training |",
    "zh": "| 内容 | 测试准确率（种子均值） | 均值的 95 % 区间 | 种子数 | 论文 | 训练时间 |",
}


def records(experiment: str) -> list[dict]:
    """The records of an experiment, by seed."""
    return [json.loads(path.read_text()) for path in sorted((HERE / "results" / experiment).glob("seed-*.json"))]


def accuracies(experiment: str, model: str, name: str = "accuracy") -> list[float]:
    """The test accuracies of a model (or another result by name), one a seed."""
    found = []
    for record in records(experiment):
        wanted = {"name": name, "model": model}.items()
        found += [r["value"] for r in record["results"] if wanted <= r.items() and r["on"]["role"] == "test"]
    return found


def row(language: str, experiment: str, model: str, names: tuple[str, str], paper: str) -> str | None:
    """One line of the table; None if there is no result."""
    values = np.array(accuracies(experiment, model))
    if not len(values):
        return None
    mean, half = mean_and_half(values)
    seconds = [r["seconds"][model] for r in records(experiment) if model in r.get("seconds", {})]
    unit = "min" if language == "en" else "分钟"
    minutes = f"{np.median(seconds) / 60:.1f} {unit}" if seconds else ""
    name = names[0] if language == "en" else names[1]
    digits = 4 if mean > 0.98 else 3  # there, a thousandth is ten errors
    interval = f"{mean - half:.{digits}f} to {mean + half:.{digits}f}" if len(values) > 1 else "one seed"
    interval = interval.replace(" to ", "–").replace("one seed", "单个种子") if language == "zh" else interval
    return f"| {name} | {mean:.{digits}f} | {interval} | {len(values)} | {paper} | {minutes} |"


def table(language: str, all_rows: bool = False) -> str:
    """The table in a language: its headlines, or all rows."""
    lines = [HEADS[language], "| --- | --- | --- | --- | --- | --- |"]
    for experiment, model, english, chinese, paper in ROWS:
        if not all_rows and (experiment not in HEADLINES or len(records(experiment)) < 3):
            continue
        line = row(language, experiment, model, (english, chinese), paper)
        lines += [line] if line else []
    return "\n".join(lines)


def demo_sentence(language: str) -> str:
    """On how many seeds of the demo `dann` beats source only, and by how much."""
    floor, dann = (np.array(accuracies("demo", model)) for model in ("source_only", "dann"))
    if not len(floor):
        return ""
    gains, won = 100 * (dann - floor), int((dann > floor).sum())
    if language == "zh":
        gap = f"差 {gains.min():.1f} 到 {gains.max():.1f} 个百分点"
        return f"演示：{len(gains)} 个种子中有 {won} 个 `dann` 胜过仅源域，{gap}。"
    return (
        f"The demo: `dann` beats source only on {won} seeds of {len(gains)}, "
        f"by {gains.min():.1f} to {gains.max():.1f} points."
    )


def pacs_gains() -> dict[str, dict[str, list[tuple[float, float]]]]:
    """For each method, for each pair of PACS: (accuracy, gain over source only with as many labels), one a seed."""
    gains: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record in records("pacs"):
        by_target: dict[str, dict[str, float]] = {}
        for result in record["results"]:
            by_target.setdefault(result["on"]["data"], {})[result["model"]] = result["value"]
        for target, values in by_target.items():
            for model, value in values.items():
                labels = model.partition("_3_labels")
                floor = values["source_only" + labels[1]]
                pair = f"{record['source']} → {target.partition('@')[2]}"
                gains.setdefault(model, {}).setdefault(pair, []).append((value, value - floor))
    return gains


def pacs_table() -> list[str]:
    """PACS: each method's mean accuracy and gain, with an interval over the pairs, and where it hurts."""
    lines = [
        "| method | test accuracy, mean of pairs | gain over source only, points | 95 % interval | hurts in | pairs |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for model, pairs in pacs_gains().items():
        accuracy = np.array([np.mean([value for value, _ in seeds]) for seeds in pairs.values()])
        gain = 100 * np.array([np.mean([difference for _, difference in seeds]) for seeds in pairs.values()])
        name = f"`{model}`".replace("_3_labels`", "`, 3 labels a class")
        if model.startswith("source_only"):
            lines.append(f"| {name} | {accuracy.mean():.3f} | | | | {len(gain)} |")
            continue
        mean, half = mean_and_half(gain)
        interval = f"{mean - half:.1f} to {mean + half:.1f}"
        hurts = f"{int((gain < 0).sum())} of {len(gain)} pairs"
        lines.append(f"| {name} | {accuracy.mean():.3f} | {mean:+.1f} | {interval} | {hurts} | {len(gain)} |")
    return lines if len(lines) > 2 else []


def open_table() -> list[str]:
    """Strangers: how many of them, and of the known, are rejected at 5 % wrong rejections on source validation."""
    lines = []
    for experiment, model, *_ in [row for row in ROWS if row[0].startswith("open_")]:
        strangers, known = (
            np.array(accuracies(experiment, model, name)) for name in ("strangers_rejected", "known_rejected")
        )
        if len(strangers):
            found = [mean_and_half(values) for values in (strangers, known)]
            cells = [f"{mean:.3f}" + (f" ± {half:.3f}" if len(strangers) > 1 else "") for mean, half in found]
            lines.append(f"| `{model}` ({experiment}) | {' | '.join(cells)} | {len(strangers)} |")
    head = "| model | strangers rejected | known rows of the target rejected | seeds |"
    return [head, "| --- | --- | --- | --- |", *lines] if lines else []


def peers_table() -> list[str]:
    """How long the peers take for what takes Juyi one second."""
    path = HERE / "results" / "peers.json"
    if not path.exists():
        return []
    lines = [
        "\n## Beside its peers, end to end\n",
        "Seconds of the peer over Juyi's, from data in memory to a trained model: median (least to most) of rounds.",
        "With lightly it is SimCLR, with the others DANN.",
        "What is compared: `bench/peers/README.md`.\n",
        "| peer | threads | in float32 | with `--precision auto` | rounds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in json.loads(path.read_text())["results"]:
        ratios = [row[kind]["ratio_of_seconds"] for kind in ("juyi float32", "juyi auto")]
        cells = [f"{r['median']:.2f} ({r['least']:.2f} to {r['most']:.2f})" for r in ratios]
        lines.append(f"| {row['row']} | {row['threads']} | {' | '.join(cells)} | {row['rounds']} |")
    return lines


def collapsed(experiment: str) -> int:
    """How many runs of an experiment warn that a class is hardly ever predicted."""
    return sum("hardly ever predicts" in str(record.get("warnings")) for record in records(experiment))


def page() -> str:
    """bench/RESULTS.md."""
    lines = [
        "# Results\n",
        "Made by `python bench/table.py` from the files in `bench/results/`, one a run, each with its command.",
        "The interval of the mean is Student's t over seeds.  No setting was chosen on a test set: those of `dann`",
        "were chosen on Fashion-MNIST laid on photographs by MNIST-M's recipe and on `digits_m@train`; those of",
        "`adda` on 4,000 other training images of the target; those of `adamatch`, `deep_coral` and `deep_jdot` on",
        "USPS's training digits laid on photographs; those of the online methods on Fashion-MNIST with the same",
        "corruptions.  Times are of one thread on a shared, busy machine.\n",
        table("en", all_rows=True),
        f"\n{demo_sentence('en')}\n",
        "Collapsed runs (a class is hardly ever predicted) are counted in the means: "
        + ", ".join(f"{name} {collapsed(name)}" for name in sorted({row[0] for row in ROWS}) if records(name))
        + ".",
        "\n## PACS: every method on 12 pairs\n",
        "From a small net trained on the source (`python bench/pacs.py`), 1,000 images a side of 32 × 32 pixels, the",
        "methods' defaults; what hurts is a mean over seeds below source only with as many labels.  All but `adabn`",
        "and `shot` go on learning the source for two epochs too, so a part of a gain may be that.  Intervals are",
        "Student's t over pairs, each the mean of its seeds (as many as there are files).\n",
        *pacs_table(),
        "\n## Strangers\n",
        "The threshold rejects 5 % of held-out source rows; on the target, which looks otherwise, the share of known",
        "rows that are rejected is another.\n",
        *open_table(),
        *sections(),
        "\n## Each run\n",
        "| run | model | test accuracy | command |",
        "| --- | --- | --- | --- |",
    ]
    for experiment in sorted({row[0] for row in ROWS}):
        for path in sorted((HERE / "results" / experiment).glob("seed-*.json")):
            record = json.loads(path.read_text())
            for result in record["results"]:
                if result["on"]["role"] == "test" and result["name"] == "accuracy":
                    figures = f"{result['value']:.4f} ({result['low']:.4f} to {result['high']:.4f})"
                    lines.append(
                        f"| {experiment}, {path.stem} | {result['model']} | {figures} | `{record['command']}` |"
                    )
    lines += peers_table()
    for name in ("speed", "personalize_speed", "memory"):
        path = HERE / "results" / f"{name}.json"
        if path.exists():
            record = json.loads(path.read_text())
            lines += [f"\n## {name.capitalize().replace('_', ', ')}\n", f"`{record['command']}`\n", "```json"]
            lines += [json.dumps(record["results"], indent=1), "```"]
    return "\n".join(lines) + "\n"


def main() -> int:
    contents = {HERE / "RESULTS.md": page()}
    for name, language in (("README.md", "en"), ("README.zh-CN.md", "zh")):
        text = (ROOT / name).read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        contents[ROOT / name] = (
            f"{before}{BEGIN}\n{table(language)}\n\n{demo_sentence(language)}\n{END}{rest.split(END)[1]}"
        )
    return write_or_check(contents, "the result files say; run python bench/table.py")


def write_or_check(contents: dict[Path, str], truth: str) -> int:
    """Write pages that are stale; with `--check`, say which are, and return 1 if any is."""
    stale = [path for path, text in contents.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.name} is not what {truth}")
        return int(bool(stale))
    for path in stale:
        path.write_text(contents[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

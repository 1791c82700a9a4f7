"""Make bench/RESULTS.md, and the tables between the markers of both READMEs, from the result files.

python bench/table.py            write them
python bench/table.py --check    fail if they are not what the result files say
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from scipy import stats

HERE = Path(__file__).parent
ROOT = HERE.parent
BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"

ROWS = [
    # experiment, model, what it is in English and Chinese, the paper's figure
    ("mnist_m_dann", "source_only", "MNIST → MNIST-M, source only", "MNIST → MNIST-M，仅源域", ".5225"),
    ("mnist_m_dann", "dann", "MNIST → MNIST-M, `dann`, defaults", "MNIST → MNIST-M，`dann`，默认设置", ""),
    ("mnist_m_dann_paper", "source_only", "source only, the paper's network", "仅源域，论文的网络", ".5225"),
    ("mnist_m_dann_paper", "dann", "`dann`, the paper's network and schedule", "`dann`，论文的网络与学习率", ".7666"),
    ("part_dann", "source_only", "10,000 images a side, 6 epochs: source only", "两域各 1 万张、6 轮：仅源域", ""),
    ("part_dann", "dann", "10,000 images a side, 6 epochs: `dann`", "两域各 1 万张、6 轮：`dann`", ""),
    (
        "part_dann_source_scale",
        "dann",
        "the same, images scaled by the source, not each by its own",
        "同上，按源域而非逐图标准化",
        "",
    ),
    ("part_dann_1", "dann", "the same, with 1 target label a class", "同上，每类 1 个目标标签", ""),
    ("labels_1", "labels_alone", "that 1 label a class alone", "仅用每类这 1 个标签", ""),
    ("part_dann_5", "dann", "the same, with 5 target labels a class", "同上，每类 5 个目标标签", ""),
    ("labels_5", "labels_alone", "those 5 labels a class alone", "仅用每类这 5 个标签", ""),
    ("part_dann_10", "dann", "the same, with 10 target labels a class", "同上，每类 10 个目标标签", ""),
    ("labels_10", "labels_alone", "those 10 labels a class alone", "仅用每类这 10 个标签", ""),
    ("usps_mnist_adda", "source_only", "USPS → MNIST, source only", "USPS → MNIST，仅源域", ""),
    ("usps_mnist_adda", "adda", "USPS → MNIST, `adda`", "USPS → MNIST，`adda`", ".901"),
    ("mnist_usps_adda", "source_only", "MNIST → USPS, source only", "MNIST → USPS，仅源域", ""),
    ("mnist_usps_adda", "adda", "MNIST → USPS, `adda`", "MNIST → USPS，`adda`", ".894"),
    (
        "mnist_usps_adda_batch_norm",
        "adda",
        "MNIST → USPS, `adda`, LeNet with batch norm by domain",
        "MNIST → USPS，`adda`，LeNet 加分域批归一化",
        ".894",
    ),
    ("demo", "source_only", "the demo, source only", "演示，仅源域", ""),
    ("demo", "dann", "the demo, `dann`", "演示，`dann`", ""),
]

HEADS = {
    "en": "| what | test accuracy, mean of seeds | 95 % interval of the mean | seeds | paper | training |",
    "zh": "| 内容 | 测试准确率（种子均值） | 均值的 95 % 区间 | 种子数 | 论文 | 训练时间 |",
}


def records(experiment: str) -> list[dict]:
    """The records of an experiment, by seed."""
    return [json.loads(path.read_text()) for path in sorted((HERE / "results" / experiment).glob("seed-*.json"))]


def accuracies(experiment: str, model: str) -> list[float]:
    """The test accuracies of a model, one a seed."""
    found = []
    for record in records(experiment):
        found += [r["value"] for r in record["results"] if r["model"] == model and r["on"]["role"] == "test"]
    return found


def row(language: str, experiment: str, model: str, names: tuple[str, str], paper: str) -> str | None:
    """One line of the table; None if there is no result."""
    values = np.array(accuracies(experiment, model))
    if not len(values):
        return None
    half = (
        stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    )
    interval = f"{values.mean() - half:.3f} to {values.mean() + half:.3f}" if len(values) > 1 else "one seed"
    interval = interval.replace(" to ", "–").replace("one seed", "单个种子") if language == "zh" else interval
    seconds = [r["seconds"][model] for r in records(experiment) if model in r.get("seconds", {})]
    unit = "min" if language == "en" else "分钟"
    minutes = f"{np.median(seconds) / 60:.1f} {unit}" if seconds else ""
    name = names[0] if language == "en" else names[1]
    return f"| {name} | {values.mean():.3f} | {interval} | {len(values)} | {paper} | {minutes} |"


def table(language: str) -> str:
    """The table in a language."""
    lines = [HEADS[language], "| --- | --- | --- | --- | --- | --- |"]
    for experiment, model, english, chinese, paper in ROWS:
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


def collapsed(experiment: str) -> int:
    """How many runs of an experiment warn that a class is hardly ever predicted."""
    return sum(bool(record.get("warnings")) for record in records(experiment))


def page() -> str:
    """bench/RESULTS.md."""
    lines = [
        "# Results\n",
        "Made by `python bench/table.py` from the files in `bench/results/`, one a run, each with its command.",
        "The interval of the mean is Student's t over seeds.  No setting was chosen on a test set: those of `dann`",
        "were chosen on Fashion-MNIST laid on photographs by MNIST-M's recipe and on `digits_m@train`; those of",
        "`adda` on 4,000 other training images of the target.  Times are of one thread on a shared, busy machine.\n",
        table("en"),
        f"\n{demo_sentence('en')}\n",
        "Collapsed runs (a class is hardly ever predicted) are counted in the means: "
        + ", ".join(f"{name} {collapsed(name)}" for name in sorted({row[0] for row in ROWS}) if records(name))
        + ".",
        "\n## Each run\n",
        "| run | model | test accuracy | command |",
        "| --- | --- | --- | --- |",
    ]
    for experiment in sorted({row[0] for row in ROWS}):
        for path in sorted((HERE / "results" / experiment).glob("seed-*.json")):
            record = json.loads(path.read_text())
            for result in record["results"]:
                if result["on"]["role"] == "test":
                    figures = f"{result['value']:.4f} ({result['low']:.4f} to {result['high']:.4f})"
                    lines.append(
                        f"| {experiment}, {path.stem} | {result['model']} | {figures} | `{record['command']}` |"
                    )
    for name in ("speed", "memory"):
        path = HERE / "results" / f"{name}.json"
        if path.exists():
            record = json.loads(path.read_text())
            lines += [f"\n## {name.capitalize()}\n", f"`{record['command']}`\n", "```json"]
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
    stale = [path for path, text in contents.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        print("\n".join(f"{path.name} is not what the result files say; run python bench/table.py" for path in stale))
        return int(bool(stale))
    for path in stale:
        path.write_text(contents[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

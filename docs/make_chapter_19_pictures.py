"""Draw the picture of chapter 19: docs/pictures/models.png.

    python docs/make_chapter_19_pictures.py

matplotlib is in the extra `development`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot
from sklearn.ensemble import RandomForestClassifier

from juyi.adapt.forests import TransferForest
from juyi.data import Domain

COUNTS, SEEDS = (5, 10, 20, 40, 80, 160, 320), range(10)
WAYS = {
    "the source's forest": "#8a8a8a",
    "a forest of the labels alone": "#1f6fb2",
    "transfer_forest": "#d1662f",
}


def accuracies(labels: int, seed: int) -> list[float]:
    """Of each way, where one quarter of a plane has changed and so many labels of the target are known."""
    rng = np.random.default_rng(seed)
    x, z, asked = rng.uniform(-1, 1, (3, 1_000, 4)).astype(np.float32)
    there = (x[:, 0] > 0) != (x[:, 1] > 0)
    here, right = (((rows[:, 0] > 0) | (rows[:, 1] > 0)).astype(int) for rows in (z, asked))
    forest = RandomForestClassifier(100, max_leaf_nodes=16, random_state=seed).fit(x, there.astype(int))
    few = Domain(z, here, np.arange(1_000) < labels, classes=("0", "1"), name="here")
    alone = RandomForestClassifier(100, random_state=seed).fit(z[:labels], here[:labels])
    models = (forest, alone, TransferForest().fit(forest, target=few))
    return [float((model.predict(asked) == right).mean()) for model in models]


def main() -> None:
    """Draw it."""
    found = np.array([[accuracies(labels, seed) for seed in SEEDS] for labels in COUNTS])
    drawing, axis = pyplot.subplots(figsize=(6.6, 3.4), dpi=110)
    for way, (name, colour) in enumerate(WAYS.items()):
        axis.plot(COUNTS, found[:, :, way].mean(1), color=colour, label=name, linewidth=1.8)
        for labels, row in zip(COUNTS, found[:, :, way], strict=True):
            axis.scatter([labels] * len(row), row, s=7, color=colour, alpha=0.5, linewidths=0)
    axis.set(xscale="log", xlabel="labels of the target", ylabel="accuracy there", xticks=COUNTS, ylim=(0.6, 1.0))
    axis.set_xticks(COUNTS, list(map(str, COUNTS)))
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    drawing.tight_layout(pad=0.5)
    drawing.savefig(Path(__file__).parent / "pictures" / "models.png")
    print(found.mean(1).round(3).tolist())


if __name__ == "__main__":
    main()

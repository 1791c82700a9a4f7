"""Draw the pictures of chapters 15 and 16: docs/pictures/instances.png and features.png.

    python docs/make_chapter_15_pictures.py

matplotlib is in the extra `development`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from juyi.adapt import CORAL, RuLSIF, SubspaceAlignment

PLACE = Path(__file__).parent / "pictures"
COLOURS = ("#1f6fb2", "#d1662f")
GREY = "#b8b8b8"


def instances() -> None:
    """Rows of the source as large as they count, the target's, and the border that is learnt from them."""
    rng = np.random.default_rng(0)
    x, z = 1.5 * rng.normal(size=(400, 2)), rng.normal([1.6, 1.5], 0.5, (200, 2))
    y = (x[:, 1] > x[:, 0] ** 2 - 1).astype(int)
    models = (RuLSIF().fit(x, y), RuLSIF().fit(x, y, target=z))
    drawing, axes = pyplot.subplots(1, 2, figsize=(7.4, 3.5), dpi=110, sharey=True)
    across, up = np.meshgrid(np.linspace(-4, 4, 200), np.linspace(-4, 5, 200))
    for axis, model in zip(axes, models, strict=True):
        axis.scatter(*z.T, s=9, color=GREY, marker="x", linewidths=0.8)
        sizes = 14 * model.weights_ / model.weights_.mean()
        axis.scatter(*x.T, s=np.clip(sizes, 0.4, 90), c=[COLOURS[code] for code in y], alpha=0.75, linewidths=0)
        told = model.predict_proba(np.stack([across.ravel(), up.ravel()], 1))[:, 1].reshape(across.shape)
        axis.contour(across, up, told, levels=[0.5], colors="#222222", linewidths=1.4)
        axis.set(xlim=(-4, 4), ylim=(-4, 5))
        axis.tick_params(labelsize=8)
    drawing.tight_layout(pad=0.5)
    drawing.savefig(PLACE / "instances.png")


def features() -> None:
    """Both domains as they are, as `coral` maps them, and as `subspace_alignment` does."""
    rng = np.random.default_rng(1)
    y, u = rng.integers(0, 2, (2, 200))
    x, z = (rng.normal(size=(200, 2)) * [1.0, 0.4] + np.outer(code, [2.5, 1.5]) for code in (y, u))
    z = z @ np.array([[1.5, 0.4], [-0.4, 0.8]]) + [6.0, -5.0]
    drawing, axes = pyplot.subplots(1, 3, figsize=(9.0, 3.1), dpi=110)
    panels = [(x, z)]
    for model in (CORAL(), SubspaceAlignment(dimensions=2)):
        model.fit(x, y, target=z)
        panels.append((model.transform_source(x), model.transform(z)))
    for axis, (source, target) in zip(axes, panels, strict=True):
        axis.scatter(*source.T, s=10, c=[COLOURS[code] for code in y], alpha=0.7, linewidths=0)
        axis.scatter(*target.T, s=14, c=[COLOURS[code] for code in u], marker="x", linewidths=0.8)
        axis.tick_params(labelsize=8)
    drawing.tight_layout(pad=0.5)
    drawing.savefig(PLACE / "features.png")


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    instances()
    features()

"""How often intervals hold a truth that is known in closed form: 2,000 resamplings of each.

    python bench/coverage.py             what is missing, one part a figure; may be stopped at will
    python bench/coverage.py --table     from the parts that are there

Bootstrap: the mean of a skewed sample, a share, a paired difference, the mean of clustered rows.  Distances: of two
Gaussians N(0, 1) and N(μ, s²) in d dimensions, whose MMD (fixed bandwidth), energy, CORAL, Fréchet and sliced
Wasserstein distances have closed forms (equality is μ = 0, s = 1).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from run import keep
from scipy.special import gammaln, hyp1f1

from juyi.measure import (
    bootstrap_interval,
    coral_distance,
    energy_distance,
    frechet_distance,
    mmd,
    sliced_wasserstein,
    wilson_interval,
)

RESULT = Path(__file__).parent / "results" / "coverage_intervals.json"
WORK = Path(tempfile.gettempdir()) / "juyi-bench-coverage"
RESAMPLINGS = 2_000
SETTINGS = {"equal": (10, 300, 0.0, 1.0), "near": (10, 300, 0.3, 1.0), "far": (10, 300, 1.0, 1.5)}
"""d, rows a side, μ, s."""


def norm(d: int, mean: float, spread: float) -> float:
    """E‖z‖ for z normal in d dimensions with this mean's length and spread."""
    half = np.exp(gammaln((d + 1) / 2) - gammaln(d / 2))
    return float(spread * np.sqrt(2) * half * hyp1f1(-0.5, d / 2, -((mean / spread) ** 2) / 2))


def truths(d: int, mean: float, s: float) -> dict[str, float]:
    """The distances of the two Gaussians."""
    width = 2.0 * d  # squared bandwidth

    def kernel(v: float, m: float = 0.0) -> float:
        return float((1 + v / width) ** (-d / 2) * np.exp(-m * m / 2 / (width + v)))

    return {
        "mmd": kernel(2) + kernel(2 * s * s) - 2 * kernel(1 + s * s, mean),
        "energy_distance": 2 * norm(d, mean, np.hypot(1, s)) - norm(d, 0, np.sqrt(2)) - norm(d, 0, np.sqrt(2) * s),
        "coral_distance": d * (s * s - 1) ** 2 / 4 / d**2,
        "frechet_distance": mean**2 + d * (1 - s) ** 2,
        "sliced_wasserstein": float(np.sqrt(mean**2 / d + (1 - s) ** 2)),
    }


def distance(name: str, setting: str) -> Callable[[int], tuple[float, float, float]]:
    """From a seed to (low, high, truth)."""
    d, n, mean, s = SETTINGS[setting]
    truth = truths(d, mean, s)[name]
    measures = {
        "mmd": lambda x, y, k: mmd(x, y, bandwidth=np.sqrt(2 * d), permutations=0, seed=k),
        "energy_distance": lambda x, y, k: energy_distance(x, y, permutations=0, seed=k),
        "coral_distance": lambda x, y, k: coral_distance(x, y),
        "frechet_distance": lambda x, y, k: frechet_distance(x, y),
        "sliced_wasserstein": lambda x, y, k: sliced_wasserstein(x, y, projections=64, seed=k),
    }

    def once(seed: int) -> tuple[float, float, float]:
        random = np.random.default_rng(seed)
        x, y = random.normal(size=(n, d)), s * random.normal(size=(n, d))
        y[:, 0] += mean
        found = measures[name](x, y, seed)
        return found.low, found.high, truth

    return once


def of_mean(seed: int) -> tuple[float, float, float]:
    found = bootstrap_interval(np.mean, np.random.default_rng(seed).exponential(size=80), resamplings=500, seed=seed)
    return found.low, found.high, 1.0


def of_share(seed: int) -> tuple[float, float, float]:
    low, high = wilson_interval(int(np.random.default_rng(seed).binomial(60, 0.85)), 60)
    return low, high, 0.85


def of_difference(seed: int) -> tuple[float, float, float]:
    random = np.random.default_rng(seed)
    rows = random.multinomial(1, [0.2, 0.1, 0.7], size=150)
    gain = (rows[:, 0] - rows[:, 1]).astype(float)
    found = bootstrap_interval(np.mean, gain, resamplings=500, seed=seed)
    return found.low, found.high, 0.1


def of_clusters(seed: int) -> tuple[float, float, float]:
    """A share of rows that lie in 30 clusters, each with a level of its own."""
    random = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(30), 7)
    wrong = (random.random(210) < random.beta(2, 8, 30)[cluster]).astype(float)
    found = bootstrap_interval(np.mean, wrong, cluster=cluster, resamplings=500, seed=seed)
    return found.low, found.high, 0.2


FIGURES: dict[str, Callable[[int], tuple[float, float, float]]] = {
    "bootstrap mean": of_mean,
    "wilson share": of_share,
    "bootstrap paired difference": of_difference,
    "bootstrap of 30 clusters": of_clusters,
    **{f"{name}, {setting}": distance(name, setting) for name in truths(10, 0, 1) for setting in SETTINGS},
}


def main() -> None:
    WORK.mkdir(exist_ok=True)
    began, results = time.time(), {}
    for name, once in FIGURES.items():
        place = WORK / f"{name.replace(' ', '_').replace(',', '')}.json"
        if not place.exists() and "--table" not in sys.argv:
            ends = np.array([once(seed) for seed in range(RESAMPLINGS)])
            part = {"below": int((ends[:, 2] < ends[:, 0]).sum()), "above": int((ends[:, 2] > ends[:, 1]).sum())}
            place.write_text(json.dumps(part))
        if place.exists():
            part = json.loads(place.read_text())
            held = RESAMPLINGS - part["below"] - part["above"]
            low, high = wilson_interval(held, RESAMPLINGS)
            results[name] = {"coverage": held / RESAMPLINGS, "low": round(low, 4), "high": round(high, 4), **part}
            print(f"{name}: {results[name]}", flush=True)
    command = "python bench/coverage.py"
    keep({"command": command, "resamplings": RESAMPLINGS, "nominal": 0.95, "results": results}, RESULT, began)


if __name__ == "__main__":
    main()

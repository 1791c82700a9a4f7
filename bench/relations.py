"""Weigh, or take the best?  Biased regularisation on relations that are drawn, and the truth of which is known.

    python bench/relations.py           write bench/results/relations.json (half a minute of one core)

A source has weights w_S; the target has the same, nearly the same, half of them, about −0.7 times them, or others.
Of n labelled rows of d features the model is made as `--selection` says, and judged by its mean squared error, without
noise, on other rows.  This is where `weigh` was made the default, before it was tried on the weather.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
from run import keep
from table import mean_and_half

from juyi.adapt.ridge import PENALTIES, SLOPES, Design, blend

PLACE = Path(__file__).parent / "results" / "relations.json"
DRAWS = 60
TARGETS = {
    "the same": lambda w, other: w,
    "nearly the same": lambda w, other: w + 0.4 * other,
    "half": lambda w, other: 0.5 * w + 0.1 * other,
    "reversed": lambda w, other: -0.7 * w + 0.2 * other,
    "another": lambda w, other: other,
}


def main() -> None:
    began, results = time.time(), []
    for (number, (name, make)), n in itertools.product(enumerate(TARGETS.items()), (3, 5, 10, 20)):
        errors: dict[str, list[float]] = {}
        for draw in range(DRAWS):
            rng = np.random.default_rng([number, n, draw])
            d, noise = int(rng.choice([3, 6, 12])), float(rng.choice([0.3, 1.0]))
            there, other = rng.normal(size=(2, d))
            here = make(there, other)
            x, x_test = rng.normal(size=(n, d)), rng.normal(size=(300, d))
            design = Design(x, (x @ here + 2 + noise * rng.normal(size=n))[:, None], (x @ there)[:, None])
            for slope, selection in itertools.product(("0", "auto"), ("best", "weigh")):
                found = blend(design, SLOPES[slope], PENALTIES, selection).solution
                told = found.slope * (x_test @ there) + (x_test @ found.weight)[:, 0] + found.intercept[0]
                errors.setdefault(f"slope {slope}, {selection}", []).append(
                    float(((told - x_test @ here - 2) ** 2).mean())
                )
        for way, values in errors.items():
            mean, half = mean_and_half(np.array(values))
            line = {"target": name, "labels": n, "way": way, "mean_squared_error": round(mean, 4)}
            results.append({**line, "low": round(mean - half, 4), "high": round(mean + half, 4), "draws": DRAWS})
    means = {
        way: round(float(np.mean([line["mean_squared_error"] for line in results if line["way"] == way])), 3)
        for way in dict.fromkeys(line["way"] for line in results)
    }
    print(means)
    keep({"command": "python bench/relations.py", "means": means, "results": results}, PLACE, began)


if __name__ == "__main__":
    main()

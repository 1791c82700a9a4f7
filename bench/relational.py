"""Roles of neurons carried over from the left half of a fly's mushroom body to the right, by relations alone.

    JUYI_DATA=/path/to/data python bench/relational.py      write bench/results/relational.json

Left and right share no feature and no name.  The right's roles score the answer, and are read for nothing else.  All
settings were chosen on the left alone: from one half of its neurons to the other (`halves`), and from a thinned copy of
it to another in which a tenth of the neurons are missing (`thinned`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from run import keep

from juyi.adapt.relations import Relational
from juyi.measure.intervals import share

PLACE = Path(__file__).parent / "results" / "relational.json"


def half(side: str) -> tuple[np.ndarray, np.ndarray]:
    folder = Path(os.environ["JUYI_DATA"]) / "fly_mushroom_body"
    return np.loadtxt(folder / f"{side}_adjacency.csv"), np.loadtxt(folder / f"{side}_cell_labels.csv", dtype=str)


def main() -> None:
    began = time.time()
    (left, roles), (right, truth) = half("left"), half("right")
    model = Relational(draws=0).fit(left, roles, target=right)
    print("settled", share(model.roles_ == truth), "match alone", share(model.match_roles_ == truth))
    print(round(time.time() - began, 1), model.settled_, model.residual_)


if __name__ == "__main__":
    main()

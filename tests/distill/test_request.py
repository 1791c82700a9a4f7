"""What is held out: labelled rows, else unlabelled ones, and never rows that are learnt from."""

import numpy as np
import pytest

from juyi.data import Domain
from juyi.distill.request import part


def rows(size, labelled):
    x = np.arange(2.0 * size, dtype=np.float32).reshape(size, 2)
    return Domain(x, np.arange(size) % 2, np.arange(size) < labelled, ("a", "b"), name="rows")


@pytest.mark.parametrize(("size", "labelled"), [(40, 40), (40, 0), (40, 10), (200, 60)])
def test_what_is_held_out_is_not_learnt_from_and_nothing_is_lost(size, labelled):
    data = rows(size, labelled)
    training, held = part(data, seed=0)
    together = np.concatenate([training.x, held.x])
    assert sorted(together[:, 0]) == sorted(data.x[:, 0]) and len(np.unique(together[:, 0])) == size
    assert held.labelled.all() if labelled >= 20 else not held.labelled.any()


@pytest.mark.parametrize(("size", "labelled"), [(15, 15), (9, 0), (19, 19)])
def test_of_very_few_rows_none_is_held_out(size, labelled):
    training, held = part(rows(size, labelled), seed=0)
    assert held is None and training.size == size

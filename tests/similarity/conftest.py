"""What the tests of similarity share: two sides drawn from known distributions, as arrays and as files."""

import numpy as np
import pytest

from juyi.data import as_domain


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path, tmp_path_factory):
    """Every test works in an empty folder of its own, with a cache of its own."""
    monkeypatch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("JUYI_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def draw(n=200, shift=0.0, seed=0, width=3, share=0.5, labels=True, name="side"):
    """Two Gaussian classes, three apart in the first column; `shift` moves all rows along the last one."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    x = rng.normal(size=(n, width))
    x[:, 0] += 3 * y
    x[:, -1] += shift
    return as_domain(x.astype(np.float32), y if labels else None, name=name, classes=("no", "yes") if labels else None)


@pytest.fixture
def side():
    return draw

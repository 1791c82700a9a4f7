import sys

import numpy as np
import pytest

from juyi.training import machine


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
@pytest.mark.parametrize("status", [True, False], ids=["VmHWM", "getrusage"])
def test_the_peak_is_in_bytes_and_outlives_what_made_it(monkeypatch, tmp_path, status):
    if not status:
        monkeypatch.setattr(machine, "Path", lambda name: tmp_path / "absent")
    size = 64 * 2**20
    block = np.ones(size, np.uint8)  # ones, so that every page is there
    assert size < machine.peak_memory() < 2**40
    del block
    assert size < machine.peak_memory()


def test_a_system_that_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "Path", lambda name: tmp_path / "absent")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert machine.peak_memory() is None

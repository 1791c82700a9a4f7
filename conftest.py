"""Every test and every example begins with the same random state, whatever ran before it on this worker."""

import random

import numpy as np
import pytest
import torch


def seed():
    """Seed what draws without being given a generator."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Before fixtures that tests share."""
    seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    """Before the test itself, whether it made its fixtures or found them."""
    seed()

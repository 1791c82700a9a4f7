"""What all tests share: tests that need data or a browser may skip, unless JUYI_MUST_RUN names what must run."""

import os

import pytest


def pytest_ignore_collect(collection_path, config):
    """Leave the scripts that tests start alone: --doctest-modules would import them."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith(("test_", "conftest")):
        return True
    return None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn a skip into a failure where the marker of the test stands in JUYI_MUST_RUN (`browser,data`)."""
    outcome = yield
    report = outcome.get_result()
    must_run = [
        name for name in os.environ.get("JUYI_MUST_RUN", "").split(",") if name and item.get_closest_marker(name)
    ]
    if report.skipped and must_run:
        report.outcome = "failed"
        report.longrepr = f"skipped, but JUYI_MUST_RUN says that {must_run[0]} tests must run: {report.longrepr}"

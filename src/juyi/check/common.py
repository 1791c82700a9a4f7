"""What the contracts of all rooms share: a small task, bits to compare, a kill, somebody who watches for files."""

from __future__ import annotations

import contextlib
import inspect
import io
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from juyi.data import Domain
from juyi.training import Checkpoint, Learner, Silent, StageRun, Watcher, declared

CLASSES = ("a", "b", "c")


def shifted_domains(seed: int = 0, rows: int = 240) -> tuple[Domain, Domain]:
    """Return two domains of 8 features with three classes: the target is the source, moved and stretched.

    The classes lie where they lay, relative to each other; so who brings the two clouds onto each other knows the
    target, and who does not is wrong about most of it.  Both come with their labels.
    """
    random = np.random.default_rng(seed)
    centres = np.zeros((3, 8))
    centres[range(3), range(3)] = 3.0

    def draw() -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(rows) % 3
        return centres[y] + random.normal(scale=0.6, size=(rows, 8)), y

    (x_source, y_source), (x_target, y_target) = draw(), draw()
    x_target = 1.5 * x_target + np.array([4.0, -3.0, 2.0, 0, 0, 2.0, 0, 0])
    source = Domain(x_source.astype(np.float32), y_source, classes=CLASSES, name="source")
    return source, Domain(x_target.astype(np.float32), y_target, classes=CLASSES, name="target")


def weights(method: Learner) -> dict[str, torch.Tensor]:
    """Return all weights and statistics of what serves."""
    return {name: value.clone() for name, value in method.net_.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Tell whether two sets of weights are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def check_declarations(method: type[Learner]) -> None:
    """Every hyperparameter says what it is; the docstring names its source and has an example."""
    assert inspect.getdoc(method), "the class needs a docstring"
    assert ">>>" in str(inspect.getdoc(method)), "the docstring needs an example that runs"
    for name, field in declared(method).items():
        assert field.metadata["help"], f"hyperparameter {name} needs a help text"


class Killed(BaseException):
    """As sudden as a kill: nothing catches it on the way."""


class Kill(Silent):
    """Counts steps and stage ends over a whole run; raises at a given one."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0

    def step_done(self, run: StageRun) -> None:
        """Count a step."""
        self.count += 1
        if self.count == self.at:
            raise Killed

    stage_ends = step_done


def resumes(
    learn: Callable[[Watcher | None, Checkpoint | None], Any],
    bits: Callable[[Any], dict[str, torch.Tensor]] = weights,
) -> None:
    """Fail unless what learns, killed anywhere and resumed, ends with the same bits.

    Args:
        learn: lets a new method learn under a watcher, with a checkpoint, and returns it.
        bits: what is compared of it.
    """
    watcher = Kill(-1)
    whole = bits(learn(watcher, None))
    events = watcher.count
    for at in sorted({1, events // 3, 2 * events // 3, events - 1, events}):
        with tempfile.TemporaryDirectory() as folder:
            with contextlib.suppress(Killed):
                learn(Kill(at), Checkpoint(Path(folder), every=0.0))
            resumed = learn(None, Checkpoint(Path(folder)))
            assert same(whole, bits(resumed)), f"killed at event {at} of {events} and resumed, other bits come out"


def refused(cases: Iterable[tuple[type[Exception], Callable[[], Any]]]) -> None:
    """Fail unless each of these raises its error."""
    for error, bad in cases:
        try:
            bad()
        except error:
            continue
        raise AssertionError(f"wrong input did not raise {error.__name__}: {inspect.getsource(bad).strip()}")


_OPENED: list[str] | None = None
"""The files that were opened while somebody watches; None while nobody does (an audit hook cannot be taken off)."""


def _note_opening(event: str, arguments: tuple[Any, ...]) -> None:
    if _OPENED is not None and event == "open":
        _OPENED.append(str(arguments[0]))


sys.addaudithook(_note_opening)


@contextlib.contextmanager
def nothing_opened() -> Iterator[None]:
    """Fail if, within, a file is opened, a thread is left, or something is printed."""
    global _OPENED
    threads, out, err = threading.active_count(), io.StringIO(), io.StringIO()
    opened = _OPENED = []
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        _OPENED = None
    assert not opened, f"files were opened: {opened}"
    assert threading.active_count() == threads, "threads were started"
    assert not out.getvalue() + err.getvalue(), "something was printed"

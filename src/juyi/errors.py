"""Every error that a person can meet, a sentence each.

An error says what is wrong, where, and how to mend it, in one line.  `InputError` and its children mean that
the input was wrong (the command exits with 2, and nothing was written); the others mean that the work itself
failed (exit 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class JuyiError(Exception):
    """Anything that Juyi itself reports: the message is one line, fit to be shown as it is."""

    exit_code = 1


class InputError(JuyiError):
    """What the person gave cannot be used as it is."""

    exit_code = 2


class DataError(InputError, ValueError):
    """Data are missing, unreadable, or of a form that cannot be learnt from."""


class ClassesDifferError(DataError):
    """Two domains that must share their classes do not."""


class SettingError(InputError, ValueError):
    """A hyperparameter or option has a name that does not exist, or a value out of its range."""


class NoClassesError(SettingError):
    """Classes are asked of a backbone, which has features and none.

    Args:
        where: what asks for them; None where that is plain.
    """

    def __init__(self, where: str | None = None) -> None:
        asked = "" if where is None else f"{where}: "
        super().__init__(
            f"{asked}the model is a backbone, which has features and no classes; make a classifier of it with juyi "
            "finetune"
        )


class RunFolderError(InputError):
    """A run folder is missing, occupied, incomplete or not a run folder."""


class ForeignFileError(InputError):
    """A model or checkpoint file is damaged, was tampered with, or was not written by Juyi."""


class DataChangedError(InputError):
    """The data that a run was started with are no longer the same (their fingerprint differs)."""


class TrainingDivergedError(JuyiError):
    """A loss became NaN or infinite; the last good state is kept."""


class WriteError(JuyiError):
    """The disk is full or a folder cannot be written; what was written before is intact."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a phrase that names the known word nearest to `word`, or lists them all if none is near.

    >>> nearest("dan", ["dann", "adda"])
    'did you mean dann?'
    >>> nearest("xyz", ["dann", "adda"])
    'known are adda, dann'
    """
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else "known are " + ", ".join(known)

"""Take what a run has learnt to a small machine: one checked file, eight-bit integers, an account of what it cost."""

from juyi.export.account import account
from juyi.export.run import Request, run

__all__ = ["Request", "account", "run"]

"""The command: one file a verb."""

from juyi.cli.app import main

__all__ = ["main"]

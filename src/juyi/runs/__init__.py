"""The run folder: written and read here, by everyone."""

from juyi.runs.folder import SCHEMA, RunFolder

__all__ = ["SCHEMA", "RunFolder"]

"""The run folder: written and read here, by everyone."""

from juyi.runs.folder import SCHEMA, RunFolder, labels_seen

__all__ = ["SCHEMA", "RunFolder", "labels_seen"]

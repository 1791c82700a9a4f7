"""The run folder: written and read here, by everyone."""

from juyi.runs.folder import SCHEMA, RunFolder, fingerprints_in, labels_seen, refuse_numbers, tells_numbers

__all__ = ["SCHEMA", "RunFolder", "fingerprints_in", "labels_seen", "refuse_numbers", "tells_numbers"]

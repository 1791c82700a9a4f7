"""What can be known: intervals, the verdict, maps, and what the figures of a run hold.  Pure functions over arrays."""

from juyi.measure.figures import class_balance_figure, least_sure_figure, maps_figure
from juyi.measure.intervals import PairedDifference, paired_difference, wilson_interval
from juyi.measure.maps import joint_map
from juyi.measure.verdict import collapse_warnings, verdict_from_test, verdict_without_labels

__all__ = [
    "PairedDifference",
    "class_balance_figure",
    "collapse_warnings",
    "joint_map",
    "least_sure_figure",
    "maps_figure",
    "paired_difference",
    "verdict_from_test",
    "verdict_without_labels",
    "wilson_interval",
]

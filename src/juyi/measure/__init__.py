"""What can be known: intervals, the verdict, maps, and what the figures of a run hold.  Pure functions over arrays."""

from juyi.measure.accuracy import accuracy_of_adapted, average_thresholded_confidence, confidence_transport
from juyi.measure.bootstrap import bootstrap_interval
from juyi.measure.bounds import ben_david_bound, mansour_bound
from juyi.measure.class_shares import estimate_label_shift
from juyi.measure.coral import coral_distance
from juyi.measure.disagreement import dis2_bound
from juyi.measure.estimate import Estimate
from juyi.measure.evidence import (
    Evidence,
    accuracies_without_labels,
    accuracy_of_floor,
    most_right,
    red_flags,
    weigh_evidence,
)
from juyi.measure.fidelity import ClassAccuracy, expected_calibration_error, mean_divergence, worst_class
from juyi.measure.figures import class_balance_figure, least_sure_figure, maps_figure
from juyi.measure.frechet import frechet_distance
from juyi.measure.intervals import PairedDifference, paired_difference, share, wilson_interval
from juyi.measure.jury import ask_jury
from juyi.measure.kernel import energy_distance, mmd
from juyi.measure.label_shift import bbse, fit_temperature, mean_prediction, mlls, shares_warning, total_variation
from juyi.measure.linear import linear_classifier, linear_prediction
from juyi.measure.maps import joint_map
from juyi.measure.margin import margin_bound
from juyi.measure.proxy import proxy_a_distance
from juyi.measure.rejection import certainty, rejection_threshold
from juyi.measure.representation import alignment, cosine_agreement, lidar, neighbour_scores, rank_me, uniformity
from juyi.measure.separability import gbc, h_score, trans_rate
from juyi.measure.sequential import Settled, labels_left, labels_to_settle, settle, settle_hint
from juyi.measure.settled import verdict_from_labels
from juyi.measure.shares_alone import ShareShift, share_shift
from juyi.measure.sliced import sliced_wasserstein
from juyi.measure.tests_by_feature import feature_tests
from juyi.measure.transferability import leep, log_me, nce
from juyi.measure.transport import wasserstein
from juyi.measure.variety import class_relation, mean_answers, pairwise_distance, variety_within, vendi_score
from juyi.measure.verdict import collapse_warnings, verdict_from_test, verdict_without_labels
from juyi.measure.verdict_numbers import (
    error_reduction,
    material_margin,
    mean_absolute_error,
    verdict_from_numbers,
    verdict_without_numbers,
)

__all__ = [
    "ClassAccuracy",
    "Estimate",
    "Evidence",
    "PairedDifference",
    "Settled",
    "ShareShift",
    "accuracies_without_labels",
    "accuracy_of_adapted",
    "accuracy_of_floor",
    "alignment",
    "ask_jury",
    "average_thresholded_confidence",
    "bbse",
    "ben_david_bound",
    "bootstrap_interval",
    "certainty",
    "class_balance_figure",
    "class_relation",
    "collapse_warnings",
    "confidence_transport",
    "coral_distance",
    "cosine_agreement",
    "dis2_bound",
    "energy_distance",
    "error_reduction",
    "estimate_label_shift",
    "expected_calibration_error",
    "feature_tests",
    "fit_temperature",
    "frechet_distance",
    "gbc",
    "h_score",
    "joint_map",
    "labels_left",
    "labels_to_settle",
    "least_sure_figure",
    "leep",
    "lidar",
    "linear_classifier",
    "linear_prediction",
    "log_me",
    "mansour_bound",
    "maps_figure",
    "margin_bound",
    "material_margin",
    "mean_absolute_error",
    "mean_answers",
    "mean_divergence",
    "mean_prediction",
    "mlls",
    "mmd",
    "most_right",
    "nce",
    "neighbour_scores",
    "paired_difference",
    "pairwise_distance",
    "proxy_a_distance",
    "rank_me",
    "red_flags",
    "rejection_threshold",
    "settle",
    "settle_hint",
    "share",
    "share_shift",
    "shares_warning",
    "sliced_wasserstein",
    "total_variation",
    "trans_rate",
    "uniformity",
    "variety_within",
    "vendi_score",
    "verdict_from_labels",
    "verdict_from_numbers",
    "verdict_from_test",
    "verdict_without_labels",
    "verdict_without_numbers",
    "wasserstein",
    "weigh_evidence",
    "wilson_interval",
    "worst_class",
]

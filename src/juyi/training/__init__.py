"""How everything learns, once for all rooms: stages, turns, batches, checkpoints, processes."""

from juyi.training.average import WeightAverage
from juyi.training.batches import Batch, ByClass, PairBatch, Pairs, Rows, Single, Steps, derive_seed
from juyi.training.checkpoint import Checkpoint
from juyi.training.hyperparameters import (
    Method,
    annotation,
    check_known,
    command_name,
    declared,
    hyperparameter,
    plain_type,
    redeclare,
)
from juyi.training.labels import label_losses, target_label_losses
from juyi.training.learn import Silent, StageGenerator, Watcher, learn
from juyi.training.learner import Augmented, Learner
from juyi.training.models import read_model, write_model
from juyi.training.precision import choose_device, choose_precision
from juyi.training.processes import Processes, join_processes, leave_processes
from juyi.training.serving import Served, compute, compute_rows, given_again, read_run, softmax
from juyi.training.shares import ClassShares
from juyi.training.stage_run import Settings, StageRun, run_stage
from juyi.training.stages import Batches, Optimiser, Stage, Step, Turn
from juyi.training.statistics import estimate_statistics
from juyi.training.views import Viewed

__all__ = [
    "Augmented",
    "Batch",
    "Batches",
    "ByClass",
    "Checkpoint",
    "ClassShares",
    "Learner",
    "Method",
    "Optimiser",
    "PairBatch",
    "Pairs",
    "Processes",
    "Rows",
    "Served",
    "Settings",
    "Silent",
    "Single",
    "Stage",
    "StageGenerator",
    "StageRun",
    "Step",
    "Steps",
    "Turn",
    "Viewed",
    "Watcher",
    "WeightAverage",
    "annotation",
    "check_known",
    "choose_device",
    "choose_precision",
    "command_name",
    "compute",
    "compute_rows",
    "declared",
    "derive_seed",
    "estimate_statistics",
    "given_again",
    "hyperparameter",
    "join_processes",
    "label_losses",
    "learn",
    "leave_processes",
    "plain_type",
    "read_model",
    "read_run",
    "redeclare",
    "run_stage",
    "softmax",
    "target_label_losses",
    "write_model",
]

"""Juyi: transfer learning. Shown one corner, infer the other three.

import juyi

source = juyi.load("digits@train")
target = juyi.withhold_labels(juyi.load("digits_m@train"))
model = juyi.adapt.DANN(random_state=0).fit(source, target=target)
model.predict(juyi.load("digits_m@test"))
"""

from importlib.metadata import PackageNotFoundError, version

from juyi import adapt, data, distill, export, finetune, pretrain, similarity
from juyi.data import Domain, load, withhold_labels
from juyi.errors import JuyiError
from juyi.training import read_run

try:
    __version__ = version("juyi")
except PackageNotFoundError:
    __version__ = "0"

__all__ = [
    "Domain",
    "JuyiError",
    "adapt",
    "data",
    "distill",
    "export",
    "finetune",
    "load",
    "pretrain",
    "read_run",
    "similarity",
    "withhold_labels",
]

"""How far apart two sets of data are, what theory says of that, and which source or backbone is nearest."""

from juyi.similarity.measuring import measure
from juyi.similarity.result import Ranking, Similarity
from juyi.similarity.sides import Settings
from juyi.training.backbones import PIXELS

__all__ = ["PIXELS", "Ranking", "Settings", "Similarity", "measure"]

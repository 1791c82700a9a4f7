"""What learns: named networks, the parts that they are made of, and networks of one's own."""

from juyi.nets.build import build_network, default_network
from juyi.nets.freezing import freeze, frozen_parts, trainable
from juyi.nets.heads import CosineHead, DomainLinear, Fourier, NeighbourHead
from juyi.nets.hub import rebuild_hub
from juyi.nets.hub_files import is_hub
from juyi.nets.inputs import Inputs
from juyi.nets.library import NETWORKS, Parts, mlp
from juyi.nets.network import Network, standardiser
from juyi.nets.normalisation import (
    BATCH_NORMS,
    SOURCE,
    TARGET,
    DomainBatchNorm,
    LabelScale,
    Standardise,
    domain_batch_norm,
    normalisation,
)
from juyi.nets.portable import portable

__all__ = [
    "BATCH_NORMS",
    "NETWORKS",
    "SOURCE",
    "TARGET",
    "CosineHead",
    "DomainBatchNorm",
    "DomainLinear",
    "Fourier",
    "Inputs",
    "LabelScale",
    "NeighbourHead",
    "Network",
    "Parts",
    "Standardise",
    "build_network",
    "default_network",
    "domain_batch_norm",
    "freeze",
    "frozen_parts",
    "is_hub",
    "mlp",
    "normalisation",
    "portable",
    "rebuild_hub",
    "standardiser",
    "trainable",
]

"""What learns: named networks, the parts that they are made of, and networks of one's own."""

from juyi.nets.build import build_network, default_network
from juyi.nets.library import NETWORKS, Parts, mlp
from juyi.nets.network import Network, standardiser
from juyi.nets.normalisation import SOURCE, TARGET, DomainBatchNorm, Standardise, normalisation

__all__ = [
    "NETWORKS",
    "SOURCE",
    "TARGET",
    "DomainBatchNorm",
    "Network",
    "Parts",
    "Standardise",
    "build_network",
    "default_network",
    "mlp",
    "normalisation",
    "standardiser",
]

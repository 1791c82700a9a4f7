"""Learn from rows there, then go with rows that arrive here, batch after batch, by `partial_fit`."""

from juyi.adapt.arriving.drift import PageHinkley
from juyi.adapt.arriving.online_transfer import OnlineTransfer
from juyi.adapt.arriving.streaming_coral import StreamingCORAL
from juyi.training.hyperparameters import Method, find_methods

METHODS: dict[str, type[Method]] = find_methods(__name__, __path__, Method)
"""Every method by its name."""

__all__ = ["METHODS", "OnlineTransfer", "PageHinkley", "StreamingCORAL"]

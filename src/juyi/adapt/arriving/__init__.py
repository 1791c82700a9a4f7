"""Learn from rows there, then go with rows that arrive here, batch after batch, by `partial_fit`."""

from juyi.adapt.arriving.drift import PageHinkley
from juyi.adapt.arriving.online_transfer import OnlineTransfer
from juyi.adapt.arriving.streaming_coral import StreamingCORAL

__all__ = ["OnlineTransfer", "PageHinkley", "StreamingCORAL"]

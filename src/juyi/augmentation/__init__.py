"""Views of images: the same thing, seen a little or very differently; batched tensor code, drawn per image."""

from juyi.augmentation.crops import LOOKS, Crops, Look, find_look
from juyi.augmentation.operations import COLOUR, OPERATIONS, SHAPE
from juyi.augmentation.views import VIEWS, Strong, View, Warped, Weak, make_view

__all__ = [
    "COLOUR",
    "LOOKS",
    "OPERATIONS",
    "SHAPE",
    "VIEWS",
    "Crops",
    "Look",
    "Strong",
    "View",
    "Warped",
    "Weak",
    "find_look",
    "make_view",
]

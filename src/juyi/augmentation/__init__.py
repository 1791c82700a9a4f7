"""Views of images: the same thing, seen a little or very differently; batched tensor code, drawn per image."""

from juyi.augmentation.operations import COLOUR, OPERATIONS, SHAPE
from juyi.augmentation.views import VIEWS, Strong, Warped, Weak, make_view

__all__ = ["COLOUR", "OPERATIONS", "SHAPE", "VIEWS", "Strong", "Warped", "Weak", "make_view"]

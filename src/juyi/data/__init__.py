"""What comes in: images, tables and arrays, by name, each read once into a `Domain`.

`load` finds data by name, `align` compares two domains at the door, `withhold_labels`, `hold_out` and `subset` cut
them, `as_domain` takes arrays.
"""

from juyi.data.domain import Domain, take_rows
from juyi.data.doors import align
from juyi.data.loading import load
from juyi.data.splits import hold_out, subset, withhold_labels

__all__ = ["Domain", "align", "hold_out", "load", "subset", "take_rows", "withhold_labels"]

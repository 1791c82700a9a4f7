"""What comes in: images, tables and arrays, by name, each read once into a `Domain`.

`load` finds data by name, `align` compares two domains at the door, `withhold_labels`, `hold_out` and `subset` cut
them, `as_domain` takes arrays.
"""

from juyi.data.arrays import as_domain
from juyi.data.catalogue import KnownData, describe, known_data
from juyi.data.domain import Domain, take_rows
from juyi.data.doors import align, join
from juyi.data.loading import load
from juyi.data.recipes import blend_with_photographs, make
from juyi.data.shapes import conform
from juyi.data.sheets import contact_sheet
from juyi.data.splits import check_trainable, hold_out, subset, withhold_labels
from juyi.data.strangers import UNKNOWN

__all__ = [
    "UNKNOWN",
    "Domain",
    "KnownData",
    "align",
    "as_domain",
    "blend_with_photographs",
    "check_trainable",
    "conform",
    "contact_sheet",
    "describe",
    "hold_out",
    "join",
    "known_data",
    "load",
    "make",
    "subset",
    "take_rows",
    "withhold_labels",
]

"""Feature augmentation: three copies of the columns, for what holds everywhere, there, and here."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from juyi.adapt.samples import Map, Samples
from juyi.adapt.shallow import Shallow, Solved


class FeatureAugmentation(Shallow):
    """With some target labels: a model that shares what both domains have in common, and keeps apart what differs.

        source: x ↦ [x, x, 0],   target: x ↦ [x, 0, x]

    A linear model of these has weights w for both domains, and a correction for each: w + v_s there, w + v_t here,
    each drawn towards 0.  What a few target labels say is a correction, then, of what many source labels say.

    Source: H. Daumé III, "Frustratingly Easy Domain Adaptation", ACL 2007, section 3.

    Example:
        >>> from juyi.data import Domain
        >>> rng = np.random.default_rng(0)
        >>> x, z = rng.normal(size=(2, 500, 2))
        >>> there, here = np.sign(x[:, 0]), np.sign(z[:, 0] - z[:, 1])
        >>> few = Domain(z.astype("float32"), (here > 0) * 1, np.arange(500) < 20, classes=("-1", "1"))
        >>> FeatureAugmentation().fit(x, there, target=few).score(z, here) > 0.85
        True
    """

    needs_target_labels: ClassVar[bool] = True
    scikit_exempt: ClassVar[dict[str, str]] = Shallow.scikit_exempt | dict.fromkeys(
        ("check_transformer_general", "check_transformer_data_not_an_array"),
        "source rows, which fit_transform returns, bear other columns than target rows, which transform does",
    )

    def solve(self, given: Samples) -> Solved:
        """Copy the columns."""
        same, none = np.eye(given.columns), np.zeros((given.columns, given.columns))
        zeros = np.zeros(3 * given.columns)
        source, target = np.concatenate([same, same, none], 1), np.concatenate([same, none, same], 1)
        return self.solved(given, Map(source, zeros), Map(target, zeros))

"""Biased regularisation: with a few target labels, a head in closed form that is drawn towards the source's."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch

from juyi.adapt.base import Adapter
from juyi.adapt.heads import design_of, is_linear, last_layer, put_weights, temperature_of, weights_of
from juyi.adapt.ridge import PENALTIES, SLOPES, Blend, blend
from juyi.adapt.source_only import supervised
from juyi.adapt.target_only import TargetOnly, check_few_labels, penalties
from juyi.data.domain import Domain
from juyi.nets import SOURCE, TARGET, Network
from juyi.training import Rows, Served, StageGenerator, Step, hyperparameter, redeclare

WAYS = {0.0: "the labels alone", 1.0: "the source as it is", None: "the relation that the labels show"}
"""What each slope stands for (None: the free one)."""


class BiasedRegularisation(Adapter):
    """Hypothesis transfer: a few target labels correct what the source has taught, or reverse it.

    The source is learnt first; its last layer says f(x) = w_S·φ(x) + b_S.  With the target labels that were given the
    last layer is then found in closed form:

        min over v, b  Σ ‖y − v·φ(x) − b‖² + λ ‖v − a w_S‖²

    a = 1 is the paper's: the model is drawn towards the source's.  a = 0 is ridge regression, the target alone.  And
    a may be found from the labels: what holds there may hold here by half, or reversed (a < 0), and is knowledge
    still.  Of a source of several places (`a.csv+b.csv`, or a `Domain` with groups) each has a head of its own, w_g,
    and a of its own, Σ_g a_g w_g; with a = 1 each has an equal part.  All three, with many penalties λ, are weighed by
    how well they tell left-out labels, which has a closed form too; `selection="best"` takes the best of them, so that
    by this measure it is never worse than the target alone.  Classes are told by a column of 0 and 1 each.

    Source: I. Kuzborskij and F. Orabona, "Stability and Hypothesis Transfer Learning", ICML 2013, for a = 1; several
    places: T. Tommasi, F. Orabona and B. Caputo, "Safety in Numbers", CVPR 2010; the slopes found and the weighing are
    this library's.

    Attributes:
        slopes_: a, one a place of the source; `slope_` is their sum.

    Example:
        >>> import juyi
        >>> source, target = juyi.load("weather@beijing-2016"), juyi.load("weather@auckland-2016")
        >>> model = BiasedRegularisation(slope="free").fit(source, target=juyi.withhold_labels(target, 5))
        >>> model.slope_ < 0  # when it is warm in Beijing, it is cold in Auckland
        True
    """

    carries: ClassVar[str | None] = "model"
    needs_target_labels: ClassVar[bool] = True
    regression: ClassVar[bool] = True
    floor: ClassVar[str] = "target_only"
    unweighable: ClassVar[str | None] = "it learns the source as it is"

    slope: str = hyperparameter(
        default="auto",
        help="a, how far the source counts: 1 (as it is), 0 (not at all), free (as the labels say, below 0 too), "
        "or auto (all of these)",
        choices=tuple(SLOPES),
    )
    penalty: float | None = hyperparameter(
        default=None,
        help="λ, the pull towards a times the source, in units of the features' mean variance; by default many are "
        "tried",
        low=0.0,
        high=1e12,
    )
    selection: str = redeclare(TargetOnly, "selection", default="weigh")

    def check_data(self, source: Domain, target: Domain | None) -> None:
        """Refuse a target with too few labels too."""
        super().check_data(source, target)
        check_few_labels(type(self).__name__, target)

    def check_net(self, net: Network) -> None:
        """Refuse a network whose last layer cannot be found in closed form too."""
        super().check_net(net)
        last_layer(net)

    def floors(self, source: Domain | Served) -> dict[str, Adapter]:
        """Beside source only stands what the same labels give alone."""
        own = TargetOnly(**self.shared(), selection=self.selection)
        return {**super().floors(source), "target_only": own}

    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """The source; its last layer in closed form; then the target's."""
        if not is_linear(net):
            yield from supervised(self, net, source, None)
        yield Step("solve the source's head", lambda: solve_source(net, source), keeps=[net])
        found = Found()

        def solve() -> None:
            starts = heads_of_places(net, source)
            design = design_of(net, target, TARGET, starts)
            made = blend(design, SLOPES[self.slope], penalties(self.penalty), self.selection)
            one, scale = made.solution, 1.0 if net.label_scale else 1.0 / temperature_of(made.solution, design)
            weight, intercept = (
                sum((a * start[part] for a, start in zip(one.slopes, starts, strict=True)), start=own)
                for part, own in enumerate((one.weight, one.intercept))
            )
            put_weights(last_layer(net), weight * scale, intercept * scale)
            found.take(made, float(net.label_scale.spread) if net.label_scale else 1.0)

        yield Step("solve the target's head", solve, keeps=[net, found])
        self.slopes_ = tuple(found.slopes.tolist())
        self.slope_, self.shares_, self.left_out_error_ = sum(self.slopes_), found.of("shares"), found.of("errors")
        self.remarks_ = (found.sentence(len(target.labelled_rows)),)
        return net


def solve_source(net: Network, source: Rows) -> None:
    """Put into the last layer what ridge regression finds on the source's labels."""
    solution = blend(design_of(net, source, SOURCE), (0.0,), PENALTIES).solution
    put_weights(last_layer(net), solution.weight, solution.intercept)


def heads_of_places(net: Network, source: Rows) -> list[tuple[np.ndarray, np.ndarray]]:
    """The last layer that each place of the source teaches by itself; of one place that which is there."""
    labelled = source.labelled_rows
    group = None if source.group is None else source.group.cpu().numpy()[labelled]
    if group is None or len(np.unique(group)) < 2:
        return [weights_of(last_layer(net))]
    found = []
    for place in np.unique(group):
        solution = blend(design_of(net, source, SOURCE, chosen=labelled[group == place]), (0.0,), PENALTIES).solution
        found.append((solution.weight, solution.intercept))
    return found


class Found:
    """What was found: the slopes, the share of each way in the model, and how far off each tells left-out labels.

    It is a thing with a state dict, so that a run which is resumed knows it too.
    """

    def __init__(self) -> None:
        self.slopes = torch.full((1,), math.nan, dtype=torch.float64)
        self.shares = self.errors = torch.full((len(WAYS),), math.nan, dtype=torch.float64)

    def take(self, made: Blend, spread: float) -> None:
        """Remember what was found; errors are told in the labels' unit, in which `spread` is one."""
        self.slopes = torch.from_numpy(made.solution.slopes.copy())
        self.shares = torch.tensor([made.shares.get(way, math.nan) for way in WAYS], dtype=torch.float64)
        squares = torch.tensor([made.errors.get(way, math.nan) for way in WAYS], dtype=torch.float64)
        self.errors = spread * squares.sqrt()

    def of(self, what: str) -> dict[str, float]:
        """The shares, or the errors, of the ways that were tried, by the words of `--slope`."""
        words = [next(word for word, slopes in SLOPES.items() if slopes == (way,)) for way in WAYS]
        values = (self.shares if what == "shares" else self.errors).tolist()
        return {word: value for word, value in zip(words, values, strict=True) if math.isfinite(value)}

    def sentence(self, labels: int) -> str:
        """Say in words what was found."""
        rows = zip(WAYS.values(), self.shares.tolist(), self.errors.tolist(), strict=True)
        told = "; ".join(
            f"{words}: root mean squared error {error:.3g} on left-out labels, {share * 100:.0f} % of the model"
            for words, share, error in rows
            if math.isfinite(error)
        )
        counts = ", ".join(f"{slope:.2f}".replace("-", "−") for slope in self.slopes.tolist())
        who = "the source counts" if len(self.slopes) == 1 else "the places of the source count, in their order,"
        return f"{who} {counts} times, as {labels:,} target labels say ({told})"

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What was found."""
        return {"slopes": self.slopes, "shares": self.shares, "errors": self.errors}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take what was found before."""
        self.slopes, self.shares, self.errors = state["slopes"], state["shares"], state["errors"]

"""Auto: some methods that suit how the clients differ, and of them the one that held-out rows prefer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from juyi.data.domain import Domain
from juyi.errors import SettingError, nearest
from juyi.nets import Network
from juyi.personalize.base import Personaliser, Shared
from juyi.personalize.client import Client, ClientRows
from juyi.personalize.federation import Federation
from juyi.personalize.known import differing
from juyi.personalize.simulation import build, shared_settings, with_shared
from juyi.personalize.vector import Vector
from juyi.training import hyperparameter

STRONG, MILD = 0.6, 0.25
"""Mean total variation between a client's shares of the classes and all clients': above, strong; below, mild."""


class Auto(Personaliser):
    """Look at how clients differ, train a few methods, and take the one whose personal models do best on held-out rows.

    With d the mean total variation between a client's shares of the classes and all clients' (0 to 1):

        d > .6 (few classes each)    ditto, fedrep, feddbe, fedavg_ft
        .25 to .6                    ditto, feddbe, fedavg_ft
        d < .25 (mild, or none)      feddbe, fedavg_ft, fedprox, and fedbn where the network has batch norm

    The mean is over clients, of the rows that each holds out; no test is looked at.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:200]")
        >>> method = Auto(net="lenet5", rounds=2, candidates="ditto,knn_per").fit(digits, groups=["ann", "bob"] * 100)
        >>> method.chosen_ in ("ditto", "knn_per"), len(method.compared_)
        (True, 2)
    """

    exempt: ClassVar = {
        "held_out_rows_are_not_learnt_from": "its candidates go through the rounds, and are held to it",
        "resumes_to_the_same_bits": "its candidates go through the rounds, and are held to it",
    }
    quick: ClassVar = {"candidates": "ditto,fedper"}

    candidates: str = hyperparameter(
        default="", help="methods that are compared, separated by commas; by default chosen by how clients differ"
    )

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        if self.privacy != "none":
            raise SettingError(
                "auto: compares methods by what clients tell of held-out rows, which has no noise; name a --method"
            )

    def names(self, differing: float, has_norm: bool) -> tuple[str, ...]:
        """The methods that are compared."""
        if self.candidates:
            return tuple(word.strip() for word in self.candidates.split(",") if word.strip())
        if differing > STRONG:
            return ("ditto", "fedrep", "feddbe", "fedavg_ft")
        if differing >= MILD:
            return ("ditto", "feddbe", "fedavg_ft")
        return ("feddbe", "fedavg_ft", "fedprox", *(("fedbn",) if has_norm else ()))

    def candidates_on(self, counts: Sequence[np.ndarray], net: Network) -> dict[str, Personaliser]:
        """The methods that are compared, by name, with the settings that they take over.

        Args:
            counts: of each client the number of its rows of each class.
            net: the network.

        Raises:
            SettingError: there is no such method.
        """
        from juyi.personalize import METHODS

        known = [name for name, kind in METHODS.items() if kind is not Auto]
        names = self.names(differing(counts), bool(Vector(net)["norm"].numel()))
        for name in names:
            if name not in known:
                raise SettingError(f"--candidates {name}: there is no such candidate; {nearest(name, known)}")
        self.compares_ = names
        return {name: with_shared(METHODS[name], shared_settings(self)) for name in names}

    def choose(self, learnt: Mapping[str, Federation]) -> str:
        """The candidate whose models tell most of the clients' held-out rows, the first of equals."""
        self.compared_ = {name: learnt[name].mean_held_out() for name in self.compares_}
        self.chosen_ = max(self.compared_, key=lambda name: self.compared_[name])
        return self.chosen_

    def go_through(
        self, clients: Sequence[ClientRows], trains: Sequence[Domain], every: Domain, device: torch.device
    ) -> Federation:
        """The rounds of each candidate; return those of the best."""
        candidates = self.candidates_on([one.class_counts() for one in trains], build(self, every))
        learnt = {name: one.go_through(clients, trains, every, device) for name, one in candidates.items()}
        return learnt[self.choose(learnt)]

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """Done by the candidates."""
        raise SettingError("auto: its candidates go through rounds, and not itself")

    def personalize(self, client: Client, shared: Shared) -> None:
        """Done by the one that was chosen."""
        raise SettingError("auto: its candidates go through rounds, and not itself")

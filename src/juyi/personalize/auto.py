"""Auto: some methods that suit how the clients differ, and of them the one that held-out rows prefer."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from juyi.errors import SettingError
from juyi.personalize.base import Personaliser, Shared
from juyi.personalize.client import Client
from juyi.training import declared, hyperparameter

STRONG, MILD = 0.6, 0.25
"""Mean total variation between a client's shares of the classes and all clients': above, strong; below, mild."""


class Auto(Personaliser):
    """Look at how clients differ, train a few methods, and take the one whose personal models do best on held-out rows.

    With d the mean total variation between a client's shares of the classes and all clients' (0 to 1):

        d > .6 (few classes each)    ditto, fedrep, feddbe
        .25 to .6                    ditto, feddbe, fedavg_ft
        d < .25 (mild, or none)      feddbe, fedavg_ft, fedprox, and fedbn where the network has batch norm

    The mean is over clients, of the rows that each holds out; no test is looked at.  A method that would need other
    settings than were given is left out.
    """

    candidates: str = hyperparameter(
        default="", help="methods that are compared, separated by commas; by default chosen by how clients differ"
    )

    def names(self, differing: float, has_norm: bool) -> tuple[str, ...]:
        """The methods that are compared."""
        if self.candidates:
            return tuple(word.strip() for word in self.candidates.split(",") if word.strip())
        if differing > STRONG:
            return ("ditto", "fedrep", "feddbe")
        if differing >= MILD:
            return ("ditto", "feddbe", "fedavg_ft")
        return ("feddbe", "fedavg_ft", "fedprox", *(("fedbn",) if has_norm else ()))

    def settings_for(self, kind: type[Personaliser]) -> dict[str, Any]:
        """The settings that a candidate takes over."""
        return {name: getattr(self, name) for name in declared(kind) if name in declared(Personaliser)}

    def local_update(self, client: Client, shared: Shared) -> dict[str, Tensor]:
        """Done by the candidates."""
        raise SettingError("auto: its candidates go through rounds, and not itself")

    def personalize(self, client: Client, shared: Shared) -> None:
        """Done by the one that was chosen."""
        raise SettingError("auto: its candidates go through rounds, and not itself")

"""What privacy costs: ε from noise, and noise from ε, by a library's accountant."""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from juyi.errors import SettingError
from juyi.personalize.private_steps import PoissonBatches, RowPrivacy

if TYPE_CHECKING:
    from juyi.personalize.federation import Federation

WHOLE_ORDERS = (*range(2, 65), 128, 256, 512)
"""The orders of Rényi by which the noise is searched for: the bound holds for any, and whole ones are quick."""
ORDERS = (1.1, 1.25, 1.5, 1.75, 2.25, 2.5, 2.75, 3.25, 3.5, 3.75, 4.5, 5.5, 6.5, 7.5, *WHOLE_ORDERS)
"""Those by which ε is told: between low ones there is something to be won."""


def require_accountant() -> None:
    """Raise a `SettingError` if the library that accounts for privacy is not installed."""
    if importlib.util.find_spec("opacus") is None:
        raise SettingError("privacy: needs the opacus library; install it with: pip install 'juyi[private]'")


@lru_cache(maxsize=4_096)
def spent(noise: float, rate: float, steps: int, delta: float) -> float:
    """Return ε after so many steps that each add noise to a clipped sum over a Poisson sample.

    Args:
        noise: σ, the noise's standard deviation over the limit of one part.
        rate: the chance with which one part (a row, a client) is in a step.
        steps: how many.
        delta: δ.

    Example:
        >>> import pytest; _ = pytest.importorskip("opacus")
        >>> round(spent(3.3, 1.0, 25, 1e-5), 2), spent(0.0, 1.0, 25, 1e-5), spent(1.0, 0.5, 0, 1e-5)
        (7.68, inf, 0.0)

    Source: I. Mironov, K. Talwar, L. Zhang, "Rényi Differential Privacy of the Sampled Gaussian Mechanism", 2019;
    computed by Opacus.
    """
    if not steps:
        return 0.0
    if not noise:
        return float("inf")
    require_accountant()
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(noise, rate, steps)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is")  # a bound all the same
        return float(accountant.get_epsilon(delta, alphas=ORDERS))


@lru_cache(maxsize=4_096)
def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """Return the least noise multiplier, found by Opacus, with which so many steps spend no more than ε.

    Raises:
        SettingError: no noise keeps an ε so small.

    Example:
        >>> import pytest; _ = pytest.importorskip("opacus")
        >>> 7.9 < spent(noise_for(8.0, 1e-5, 0.1, 100), 0.1, 100, 1e-5) <= 8.0
        True
    """
    require_accountant()
    from opacus.accountants.utils import get_noise_multiplier

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Optimal order is")
            found = get_noise_multiplier(
                target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=max(1, steps), accountant="rdp",
                epsilon_tolerance=0.01 * min(1.0, epsilon), alphas=WHOLE_ORDERS,
            )  # fmt: skip
    except ValueError as error:
        raise SettingError(
            f"epsilon: {epsilon:g} with delta {delta:g} is less than any noise can keep over {steps:,} steps; give more"
        ) from error
    return float(found)


Key = tuple[int | str, ...]
"""What random numbers are a function of."""


def uniforms(count: int, *key: int | str) -> np.ndarray:
    """Return numbers between 0 and 1 that are a function of the key, and of which nobody without it can tell any.

    They are made by SHAKE-256, since the generators of numpy and torch can be wound back from what they gave, and
    torch's looks at 32 bits of its seed alone.

    Example:
        >>> uniforms(2, 7, "a").round(3).tolist(), bool((uniforms(9, 7, "a") == uniforms(9, 7, "b")).any())
        ([0.341, 0.748], False)
    """
    bits = np.frombuffer(hashlib.shake_256(repr(key).encode()).digest(8 * count), "<u8")
    found: np.ndarray = ((bits >> 11) + 0.5) * 2.0**-53
    return found


def normals(count: int, *key: int | str) -> np.ndarray:
    """Return numbers from N(0, 1), float64, likewise."""
    found: np.ndarray = ndtri(uniforms(count, *key))
    return found


class Budget:
    """How much noise hides what in a federation, and the ε that this has come to.

    What has been spent is told by what a resumed run has as well: the round, and how many private steps each client
    has made, which stays with it.

    Args:
        federation: of which clients and method.
    """

    def __init__(self, federation: Federation) -> None:
        self.federation, self.method = federation, federation.method
        self._of_rows: dict[int, RowPrivacy] = {}

    def of_rows(self, number: int) -> RowPrivacy | None:
        """How a client's steps hide its rows; None if they need not, or if it sends nothing, as one that came later."""
        if self.method.privacy != "sample" or number >= len(self.federation.clients):
            return None
        if number not in self._of_rows:
            noise = self.method.noise
            if noise is None:
                noise = self._noise_of(number)
            self._of_rows[number] = RowPrivacy(self.method.clip_gradient, noise)
        return self._of_rows[number]

    def _noise_of(self, number: int) -> float:
        """The noise with which the steps of all rounds spend no more than ε."""
        from juyi.personalize.sharing import would_send

        planned, _ = would_send(self.federation, number, self.federation.shared)
        steps = planned.private_steps * self.method.rounds
        return noise_for(self.method.epsilon, self.method.delta, self._rate(number), steps) if steps else 0.0

    def _rate(self, number: int) -> float:
        rows = self.federation.clients[number].rows
        return PoissonBatches(rows, min(self.method.batch, rows.size)).rate

    def spent(self) -> list[dict[str, float]]:
        """What each client has spent: noise, rate, steps and ε; where clients are hidden, one entry for all."""
        method, federation = self.method, self.federation
        found: list[tuple[float, float, int]] = []
        if method.privacy == "client" and federation.shared:
            found = [(federation.defence.noise or 0.0, method.participation, federation.round)]
        elif method.privacy == "sample":
            for number in range(len(federation.clients)):
                private = self.of_rows(number)
                steps = int(federation.own.get(number, {}).get("private_steps", 0))
                found.append((private.noise if private else 0.0, self._rate(number), steps))
        return [
            {"noise": noise, "rate": rate, "steps": steps, "epsilon": spent(noise, rate, steps, method.delta)}
            for noise, rate, steps in found
        ]

    def record(self) -> dict[str, Any]:
        """What run.json holds of it; an ε without bound is None."""
        method, every = self.method, self.spent()
        return {
            "hides": method.privacy, "delta": method.delta,
            "spent": [{**one, "epsilon": _or_none(one["epsilon"])} for one in every],
            "epsilon": _or_none(max((one["epsilon"] for one in every), default=0.0)),
            "limit": method.clip_norm if method.privacy == "client" else method.clip_gradient,
        }  # fmt: skip


def _or_none(epsilon: float) -> float | None:
    """An ε as JSON has it: none where it has no bound."""
    return epsilon if epsilon < float("inf") else None

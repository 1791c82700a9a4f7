"""The settings by which clients are protected, from each other and from whoever sees what they send."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from juyi.errors import SettingError
from juyi.personalize.vector import Vector
from juyi.training import Augmented, command_name, hyperparameter

if TYPE_CHECKING:
    from juyi.personalize.base import Personaliser

RULES = ("mean", "median", "trimmed_mean", "krum")


class Protected(Augmented):
    """What every method of personalisation can be told of attacks and of privacy."""

    sends: ClassVar[str] = "values"
    """What an update holds by the server's names: new `values`, `changes` of them, or `sums` over a client's rows."""

    unprivate: ClassVar[str | None] = None
    """Why steps with noise (`privacy="sample"`) would not make what is sent private; None if they do."""

    aggregation: str = hyperparameter(
        default="mean", help="how updates are brought together: as the method does, or so that lies count little",
        choices=RULES,
    )  # fmt: skip
    trimmed: float = hyperparameter(
        default=0.2, help="share of the clients that trimmed_mean leaves out at each end", low=0.0, high=0.5
    )
    bad_clients: int = hyperparameter(default=1, help="how many clients krum assumes to be bad", low=0, high=1_000_000)
    clip_norm: float = hyperparameter(
        default=0.0, help="longest change that a client may send; longer ones are shortened; 0 for no limit",
        low=0.0, high=1e9,
    )  # fmt: skip
    privacy: str = hyperparameter(
        default="none", help="noise that hides one client's part in all (client), or one row of a client's (sample)",
        choices=("none", "client", "sample"),
    )  # fmt: skip
    epsilon: float = hyperparameter(
        default=8.0, help="ε that all rounds together may reach; the noise is found from it", low=0.0, high=1e6
    )
    noise: float | None = hyperparameter(
        default=None, help="noise multiplier σ, in the place of epsilon", low=0.0, high=1e6
    )
    delta: float = hyperparameter(default=1e-5, help="δ, the chance that ε does not hold", low=0.0, high=1.0)
    clip_gradient: float = hyperparameter(
        default=1.0, help="longest gradient of a row, with privacy sample", low=0.0, high=1e9
    )

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        if self.trimmed >= 0.5:
            raise SettingError(
                f"trimmed: {self.trimmed:g} at each end leaves nothing between; give less than 0.5, or use "
                "--aggregation median"
            )
        if self.privacy == "none":
            return
        if self.epsilon <= 0.0 or not 0.0 < self.delta < 1.0:
            name = "epsilon" if self.epsilon <= 0.0 else "delta"
            raise SettingError(
                f"{name}: {getattr(self, name):g} promises what no noise keeps; give more than 0, such as --epsilon 8 "
                "--delta 1e-5"
            )
        if self.privacy == "sample" and self.clip_gradient <= 0.0:
            raise SettingError("clip_gradient: 0 leaves nothing of any gradient; give more, such as 1")
        if self.privacy == "client":
            self._check_private_clients()

    def _check_private_clients(self) -> None:
        if not self.clip_norm:
            raise SettingError(
                "privacy: client needs a limit of what one client can change; give --clip-norm, such as 1"
            )
        if self.aggregation != "mean":
            raise SettingError(
                f"privacy: the noise of client is that of a sum, and {self.aggregation} is none; leave --aggregation "
                "out"
            )


def check_protection(method: Personaliser, model: Vector, clients: int) -> None:
    """Raise a `SettingError` if this method, with this network and so many clients, cannot keep what is asked."""
    from juyi.personalize.attendance import selected
    from juyi.personalize.defence import defence_of, least_for_krum
    from juyi.personalize.privacy import require_accountant
    from juyi.personalize.sharing import part_of

    name = command_name(type(method))
    taking_part = selected(method.participation, clients)
    if method.sends == "sums" and (method.aggregation != "mean" or method.clip_norm or method.privacy != "none"):
        raise SettingError(
            f"{name}: sends sums over its rows, and no values of which there is a middle or a length; leave "
            "--aggregation, --clip-norm and --privacy out, or use another method"
        )
    if method.aggregation == "krum" and taking_part < least_for_krum(method.bad_clients):
        raise SettingError(
            f"bad_clients: of {taking_part} clients that take part in a round krum can bear "
            f"{max(0, (taking_part - 3) // 2)} bad ones, not {method.bad_clients}; give fewer, or use --aggregation "
            "median"
        )
    if method.privacy == "none":
        return
    require_accountant()
    has_statistics = bool(model["statistics"].numel())
    if method.privacy == "sample":
        if method.unprivate is not None:
            raise SettingError(f"{name}: {method.unprivate}; use --privacy client, or another method")
        if has_statistics:
            raise SettingError(
                "privacy: batch norm mixes the rows of a batch, so none can be hidden; use --batch-norm none"
            )
    elif has_statistics and any(part_of(model, v) in ("all", "body") for v in method.init_shared(model).values()):
        raise SettingError(
            "privacy: running statistics of batch norm would be sent, and do not bear noise; use --batch-norm none"
        )
    defence_of(method, clients)  # which finds the noise, or that there is none

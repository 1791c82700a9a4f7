"""What the server does with updates before a method aggregates them: lies outvoted, long ones shortened, noise added.

    updates → limited to a length → one robust middle of them, or their noisy sum → `method.aggregate`

The middle is handed to the method as if every client had sent it.  Whatever mean a method makes of equal updates is
that update, so every method that averages what is sent is defended without a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from juyi.personalize.base import Personaliser, Shared, Update
from juyi.personalize.privacy import Key, noise_for, normals


def median(values: Tensor) -> Tensor:
    """Return the median of each coordinate of m×d values, d; of an even number, the mean of the middle two.

    Fewer than half of the clients can say what they like: the median of a coordinate stays within what the others said.
    Every client counts alike, however many rows it has.

    Example:
        >>> median(torch.tensor([[1.0, 5.0], [2.0, 6.0], [900.0, -900.0]]))
        tensor([2., 5.])

    Source: D. Yin, Y. Chen, K. Ramchandran, P. Bartlett, "Byzantine-Robust Distributed Learning: Towards Optimal
    Statistical Rates", ICML 2018, definition 1.
    """
    return trimmed_mean(values, (len(values) - 1) // 2)


def trimmed_mean(values: Tensor, cut: int) -> Tensor:
    """Return the mean of each coordinate of m×d values without its `cut` smallest and `cut` largest, d.

    Up to `cut` clients can say what they like.  With none cut it is the mean in which every client counts alike.

    Args:
        values: what m clients sent.
        cut: how many are left out at each end, less than m / 2.

    Example:
        >>> trimmed_mean(torch.tensor([[1.0], [2.0], [3.0], [900.0]]), 1)
        tensor([2.5000])

    Source: as for `median`, definition 2, with `cut` = βm.
    """
    ordered = values.sort(0).values
    return ordered[cut : len(values) - cut].mean(0)


def krum(values: Tensor, bad: int) -> int:
    """Return the number of the one of m×d values that lies nearest to its neighbours.

        argmin_i Σ_{j → i} ‖v_i − v_j‖²,   j → i: the m − f − 2 others that are nearest to v_i

    f of them may say what they like, m ≥ 2f + 3.  One client's update is taken and no other's, so clients unlike the
    rest teach nothing.

    Args:
        values: what m clients sent.
        bad: f.

    Example:
        >>> krum(torch.tensor([[1.0], [1.2], [1.1], [7.0], [900.0]]), bad=1)
        2

    Source: P. Blanchard, E. M. El Mhamdi, R. Guerraoui, J. Stainer, "Machine Learning with Adversaries: Byzantine
    Tolerant Gradient Descent", NeurIPS 2017, section 4.
    """
    apart = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist").square()
    nearest = apart.fill_diagonal_(torch.inf).sort(1).values[:, : len(values) - bad - 2]
    return int(nearest.sum(1).argmin())


def limited(changes: Tensor, longest: float) -> Tensor:
    """Return m×d changes, those that are longer than `longest` brought to that length: Δ_i min(1, C / ‖Δ_i‖).

    Example:
        >>> limited(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 1.0)
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])

    Source: Z. Sun, P. Kairouz, A. T. Suresh, H. B. McMahan, "Can You Really Backdoor Federated Learning?", 2019,
    section 4 (norm thresholding).
    """
    lengths = changes.norm(dim=1, keepdim=True)
    shortened: Tensor = changes * (longest / lengths.clamp(min=longest))
    return shortened


def noisy_mean(changes: Tensor, longest: float, noise: float, expected: float, key: Key) -> Tensor:
    """Return the sum of m×d changes, none longer than C, with noise, over the number of clients that was expected, d.

        (Σ_i Δ_i + N(0, σ² C² I)) / (q N)

    The denominator is fixed, so that one client more or less changes the sum by C at most; where nobody came it is
    noise alone.  Every client counts alike.

    Args:
        changes: what m clients changed, m ≥ 0.
        longest: C.
        noise: σ, the noise multiplier.
        expected: q N, how many of N clients take part in a round on average.
        key: what the noise is a function of.

    Example:
        >>> noisy_mean(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 1.0, 0.0, expected=4.0, key=(0,))
        tensor([0.2500, 0.2500])

    Source: H. B. McMahan, D. Ramage, K. Talwar, L. Zhang, "Learning Differentially Private Recurrent Language Models",
    ICLR 2018, algorithm 1 with the estimator f̃_f and all weights 1.
    """
    drawn = torch.from_numpy(normals(changes.shape[1], *key)).to(changes.device, changes.dtype)
    return (changes.sum(0) + noise * longest * drawn) / expected


@dataclass(frozen=True)
class Defence:
    """What happens to the updates of a round before the method sees them.

    A rule that finds one middle hands it on in the place of each update, with equal weights.

    Args:
        rule: mean (whatever the method makes it), median, trimmed_mean or krum.
        trimmed: the share that trimmed_mean leaves out at each end.
        bad: how many clients krum assumes to be bad; where too few answer for that, the round changes nothing.
        longest: the longest change of a client; 0 for no limit.
        noise: σ, of privacy by clients; None for none.
        expected: how many clients take part in a round on average.
        key: what with the round the noise is a function of.
        changes: whether what is sent are changes already, and not new values of what the server sent.
    """

    rule: str = "mean"
    trimmed: float = 0.2
    bad: int = 1
    longest: float = 0.0
    noise: float | None = None
    expected: float = 1.0
    key: Key = ()
    changes: bool = False

    def __call__(
        self, shared: Shared, updates: Sequence[Update], round_number: int, sent: Callable[[], Iterable[str]]
    ) -> list[Update]:
        """Return what the method is to aggregate; if it is nothing, the round changes nothing.

        Args:
            shared: what the clients were sent.
            updates: what came back, in the order of the clients' numbers.
            round_number: the round, of which with the key the noise is a function.
            sent: gives the names of what clients send, where nobody came and there is noise to add.
        """
        if self.rule == "mean" and not self.longest and self.noise is None:
            return list(updates)
        if not updates and self.noise is None:
            return []
        names = list(updates[0].values) if updates else list(sent())
        if not names:
            return []
        table = _Table(shared, names, self.changes)
        changes = table.rows(updates)
        if self.longest:
            changes = limited(changes, self.longest)
        if self.noise is not None:
            key = (*self.key, "noise", round_number)
            middle = noisy_mean(changes, self.longest, self.noise, self.expected, key)
            return [Update(-1, 1, table.values(middle))] * max(1, round(self.expected))
        if self.rule == "mean":
            return [replace(one, values=table.values(row)) for one, row in zip(updates, changes, strict=True)]
        if self.rule == "krum" and len(updates) < least_for_krum(self.bad):
            return []
        middle = self._middle(changes)
        return [replace(one, size=1, values=table.values(middle)) for one in updates]

    def _middle(self, changes: Tensor) -> Tensor:
        if self.rule == "krum":
            return changes[krum(changes, self.bad)]
        return median(changes) if self.rule == "median" else trimmed_mean(changes, int(self.trimmed * len(changes)))


def defence_of(method: Personaliser, clients: int, key: Key = ()) -> Defence:
    """The defence that a method's settings describe, for so many clients, with noise that is a function of the key."""
    rate, noise = method.participation, None
    if method.privacy == "client":
        noise = method.noise
        if noise is None:
            noise = noise_for(method.epsilon, method.delta, rate, method.rounds)
    return Defence(
        method.aggregation, method.trimmed, method.bad_clients, method.clip_norm, noise, rate * clients, key,
        method.sends == "changes",
    )  # fmt: skip


def least_for_krum(bad: int) -> int:
    """How many updates krum needs where it assumes this number of bad ones, 2f + 3.

    >>> least_for_krum(6)
    15
    """
    return 2 * bad + 3


class _Table:
    """Updates as a table of changes, a client a row, and back."""

    def __init__(self, shared: Shared, names: Sequence[str], changes: bool) -> None:
        self.names = names
        self.origin = {name: torch.zeros_like(shared[name]) if changes else shared[name] for name in names}

    def rows(self, updates: Sequence[Update]) -> Tensor:
        """The changes, m×d."""
        first = next(iter(self.origin.values())).device
        width = sum(value.numel() for value in self.origin.values())
        rows = [
            torch.cat([(one.values[name] - self.origin[name]).flatten().to(first) for name in self.names])
            for one in updates
        ]
        return torch.stack(rows) if rows else torch.zeros(0, width, device=first)

    def values(self, row: Tensor) -> Shared:
        """What a client would have sent that changed this much."""
        parts = torch.split(row, [value.numel() for value in self.origin.values()])
        return {
            name: value + part.view(value.shape).to(value.device)
            for (name, value), part in zip(self.origin.items(), parts, strict=True)
        }

"""Who was there in a round, and what each answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from juyi.errors import SettingError
from juyi.personalize.base import Update


@dataclass(frozen=True)
class Answer:
    """What a client's visit in a round comes to.

    Args:
        client: its number.
        update: what it sends; None where that is refused.
        own: what it then keeps; of a client elsewhere, where that is to be found.
        loss: the mean loss of its steps.
    """

    client: int
    update: Update | None
    own: dict[str, Tensor]
    loss: float


@dataclass(frozen=True)
class Attendance:
    """Who was there in a round, by their numbers.

    Args:
        answered: whose update the server took.
        late: who made only a part of its steps.
        lost: who was asked and did not answer.
        refused: whose update was refused.
    """

    answered: tuple[int, ...] = ()
    late: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()


def attendance_of(taken: Sequence[tuple[int, float, bool]], answers: Sequence[Answer]) -> Attendance:
    """Who was there: from who was asked (number, share of its steps, lost by chance), and who answered.

    Example:
        >>> attendance_of([(0, 1.0, False), (2, 0.5, False), (3, 1.0, True)], [Answer(2, None, {}, 0.0)])
        Attendance(answered=(), late=(2,), lost=(0, 3), refused=(2,))
    """
    there = {one.client for one in answers}
    return Attendance(
        tuple(one.client for one in answers if one.update is not None),
        tuple(number for number, share, _ in taken if share < 1.0 and number in there),
        tuple(number for number, _, _ in taken if number not in there),
        tuple(one.client for one in answers if one.update is None),
    )


def selected(participation: float, clients: int) -> int:
    """How many clients take part in a round.

    Raises:
        SettingError: nobody would.

    Example:
        >>> selected(0.25, 10)
        2
    """
    count = round(participation * clients)
    if count < 1:
        raise SettingError(
            f"participation: {participation:g} of {clients} clients selects nobody; give {1 / clients:g} or more"
        )
    return count

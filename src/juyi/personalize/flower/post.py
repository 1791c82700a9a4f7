"""Exchange with clients through Flower's grid: who is there, who answers, for whom it waits and how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from juyi.errors import JuyiError, WriteError
from juyi.personalize.federation import Listener
from juyi.personalize.flower.node import HELLO, OWN, SETUP
from juyi.personalize.flower.parcel import Parcel, from_records, to_records
from juyi.personalize.flower.setup import Form, check_version, own_version
from juyi.personalize.flower.told import ToldClient

if TYPE_CHECKING:
    from flwr.app import Message
    from flwr.serverapp import Grid

NOT_THERE = (3, 5)
"""Flower's codes of errors that say that an answer or a node is gone: there is nothing to refuse, but to ask again."""
SMALL = 10_000_000
"""Bytes of tensors that an answer may have which brings no weights."""


class Refused(JuyiError):
    """What a client sent is not taken."""


class Post:
    """Asks clients, waits for a bounded time, and knows on which node each is.

    A client is known by its name, which its node says; a node that was started anew is another node of the same client.
    Who does not answer in time is not waited for again before its node shows itself anew.

    Args:
        grid: Flower's.
        federation: which one, sixteen hexadecimal digits.
        form: what rows look like.
        scaled: whether rows are scaled by all clients'.
        names: of the clients, by number; None while they gather.
        patience: seconds that are waited for an answer.
        say: tells a person what is remarkable.
        clock: the time in seconds, from any start.
        pause: waits so many seconds.
    """

    def __init__(
        self,
        grid: Grid,
        federation: str,
        form: Form,
        scaled: bool,
        names: Sequence[str] | None,
        patience: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.grid, self.federation, self.form, self.scaled = grid, federation, form, scaled
        self.names = None if names is None else list(names)
        self.patience, self.say, self.clock, self.pause = patience, say, clock, pause
        self.told: dict[str, ToldClient] = {}
        self.nodes: dict[str, int] = {}
        self.set_up: set[tuple[int, str]] = set()
        self._greeted: dict[int, str] = {}
        self._hellos: set[str] = set()
        self._open: dict[str, tuple[str, int, int]] = {}
        self._turn = 0
        self._online: set[int] = set()
        self._given_up: set[str] = set()

    def gather(self, number: int) -> list[ToldClient]:
        """Wait till so many clients are there; they are sorted by name, where no names are given.

        Raises:
            WriteError: they do not come in time.
        """
        end = self.clock() + self.patience
        while len(self.told) < number:
            if self.clock() > end:
                lacking = [name for name in self.names or () if name not in self.told]
                raise WriteError(
                    f"clients: {len(self.told)} of {number} came within {self.patience:.0f} s"
                    f"{', without ' + ', '.join(lacking) if lacking else ''}; start their nodes, then run it again"
                )
            self._greet()
            for reply in self.grid.pull_messages(self._hellos):
                self._welcome(reply)
            self.pause(0.2)
        if self.names is None:
            self.names = sorted(self.told)
        return [self.told[name] for name in self.names]

    def exchange(
        self,
        asked: Mapping[int, Parcel],
        name: str,
        setup: Parcel,
        most: int = SMALL,
        listener: Listener | None = None,
        check: Callable[[Parcel], Any] = lambda reply: None,
    ) -> tuple[dict[int, Parcel], set[int]]:
        """Ask clients, each something, and wait for the answers.

        Args:
            asked: by the client's number.
            name: of what learns.
            setup: with what it begins; sent to who lacks it.
            most: bytes of tensors that an answer may have.
            listener: is told who answered, and for whom it waits.
            check: raises an error for an answer that must not be taken.

        Returns:
            The answers, and whose were refused; who is in neither did not answer.
        """
        names = self.names or []
        answers: dict[int, Parcel] = {}
        refused: set[int] = set()
        waiting, end = dict(asked), self.clock() + self.patience
        self._turn += 1
        while waiting:
            self._greet()
            self._ask(waiting, name, setup)
            if self.clock() > end or ((answers or refused) and self._given_up.issuperset(names[n] for n in waiting)):
                break
            before = len(waiting)
            for reply in self.grid.pull_messages([*self._open, *self._hellos]):
                number = self._number_of(reply, waiting)
                if number is None:
                    continue
                try:
                    parcel = self._read(reply, most)
                    if (lacks := parcel.note.get("lacks")) is not None:
                        waiting[number] = self._mended(waiting[number], lacks, names[number], name)
                        continue
                    check(parcel)
                    answers[number] = parcel
                except JuyiError as error:
                    refused.add(number)
                    self.say(f"client {names[number]}: refused: {error}")
                del waiting[number]
            if listener and (len(waiting) < before or before == len(asked)):
                listener(sorted(answers), sorted(waiting), sorted(refused))
            if waiting:
                self.pause(0.2)
        for number in waiting:
            if names[number] not in self._given_up:
                self.say(f"client {names[number]}: did not answer within {self.patience:.0f} s; it goes on without it")
                self._given_up.add(names[number])
        return dict(sorted(answers.items())), refused

    def _ask(self, waiting: Mapping[int, Parcel], name: str, setup: Parcel) -> None:
        """Send what is asked to whoever is there and has nothing else to do."""
        busy = {(client, node) for client, node, _ in self._open.values()}
        for number, parcel in waiting.items():
            client = (self.names or [])[number]
            node = self.nodes.get(client)
            if node is not None and node in self._online and (client, node) not in busy:
                sent = self._send(node, self._with_setup(parcel, node, name, setup))
                self._open[sent] = (client, node, self._turn)

    def _number_of(self, reply: Message, waiting: Mapping[int, Parcel]) -> int | None:
        """Whose answer it is; None if it is no answer to what is asked now."""
        to = reply.metadata.reply_to_message_id
        if to in self._hellos:
            self._welcome(reply)
            return None
        client, _, turn = self._open.pop(to, ("", 0, 0))
        gone = reply.has_error() and reply.error.code in NOT_THERE
        if not gone and client in self._given_up:
            self.say(f"client {client}: is back")
            self._given_up.discard(client)
        number = next((number for number in waiting if (self.names or [])[number] == client), None)
        return None if gone or turn != self._turn else number

    def _with_setup(self, parcel: Parcel, node: int, name: str, setup: Parcel) -> Parcel:
        """What is asked, and with what everything begins where the node has not been told yet."""
        if (node, name) in self.set_up:
            return parcel
        self.set_up.add((node, name))
        return Parcel({**parcel.note, "setup": setup.note}, {**parcel.tensors, **setup.tensors}, parcel.figures)

    def _mended(self, parcel: Parcel, lacks: Any, client: str, name: str) -> Parcel:
        """What is asked again of a client that lacks what it would have to have from before."""
        if lacks == SETUP and (self.nodes[client], name) in self.set_up:
            self.set_up.discard((self.nodes[client], name))
            return parcel
        if lacks == OWN and parcel.note.get("own") is not None:
            self.say(f"client {client}: no longer has what it kept of round {parcel.note['own']}; it begins anew")
            return Parcel({**parcel.note, "own": None}, parcel.tensors, parcel.figures)
        raise Refused("lacks what it was sent")

    def _greet(self) -> None:
        """Look who is there; ask nodes that are new who they are."""
        self._online = set(self.grid.get_node_ids())
        for node in sorted(self._online - self._greeted.keys()):
            note = {"do": HELLO, "juyi": own_version(), "form": vars(self.form), "scaled": self.scaled}
            self._greeted[node] = self._send(node, Parcel(note))
            self._hellos.add(self._greeted[node])

    def _welcome(self, reply: Message) -> None:
        """Take note of who a node says that it is, unless that cannot be."""
        self._hellos.discard(reply.metadata.reply_to_message_id)
        node = int(reply.metadata.src_node_id)
        try:
            hello = self._read(reply, SMALL)
            name = str(hello.note.get("client"))
            check_version(hello.note.get("juyi"), f"the node of client {name}")
            client = ToldClient.read(hello, self.form)
            if self.names is not None and name not in self.names:
                raise Refused(f"client {name} is none of this federation")
            known = self.told.get(name)
            if known is not None and known.fingerprint != client.fingerprint:
                raise Refused(f"client {name} has other rows than it came with")
        except (JuyiError, KeyError, TypeError, ValueError) as error:
            self.say(f"node {node}: refused: {error}")
            return
        self.told.setdefault(name, client)
        if name in self.nodes:
            self.say(f"client {name}: is back")
        self.nodes[name] = node
        self._given_up.discard(name)

    def _send(self, node: int, parcel: Parcel) -> str:
        from flwr.app import Message

        note = {**parcel.note, "federation": self.federation}
        content = to_records(Parcel(note, parcel.tensors, parcel.figures))
        group = str(parcel.note.get("round", ""))
        message = Message(content, dst_node_id=node, message_type="query", group_id=group)
        return str(next(iter(self.grid.push_messages([message]))))

    def _read(self, reply: Message, most: int) -> Parcel:
        """Read an answer.

        Raises:
            Refused, ForeignFileError: it is an error, or a refusal, or none of Juyi's.
        """
        if reply.has_error():
            raise Refused(f"its node failed: {reply.error.reason}")
        parcel = from_records(reply.content, most)
        if "refused" in parcel.note:
            raise Refused(str(parcel.note["refused"])[:500])
        return parcel

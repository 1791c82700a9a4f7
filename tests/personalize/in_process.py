"""A grid of Flower's without its network: nodes in this process, and every message made bytes of and read from them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.task_identity import TaskIdentity

from juyi.check.personaliser import CLIENTS, CPU, skewed_clients
from juyi.personalize import METHODS
from juyi.personalize.federation import Federation
from juyi.personalize.flower.client import MOST
from juyi.personalize.flower.node import Node
from juyi.personalize.flower.parcel import from_records, to_records
from juyi.personalize.flower.post import Post
from juyi.personalize.flower.remote import Elsewhere
from juyi.personalize.flower.setup import Form
from juyi.personalize.flower.told import Told
from juyi.personalize.request import ClientData
from juyi.personalize.simulation import clients_of, federation_of
from juyi.training import command_name

FEDERATION, SECRET = "0123456789abcdef", 2**100 + 7
DOMAIN = skewed_clients()
FORM = Form(DOMAIN.x.shape[1:], DOMAIN.classes)
TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


def over_the_wire(content):
    """What records are after they have been bytes, as Flower sends them."""
    objects = {identity: one.deflate() for identity, one in get_all_nested_objects(content).items()}
    return inflate_object_from_contents(content.object_id, objects)


class InProcess:
    """Flower's grid, with nodes in this process; time goes by where somebody waits.

    `nodes` holds what a node does with records, by its number; who is taken out of it is dead, and who returns None
    does not answer.
    """

    def __init__(self):
        self.nodes, self.now, self.sent = {}, 0.0, 0
        self.joined, self.replies = 0, {}

    def clock(self):
        return self.now

    def pause(self, seconds):
        self.now += seconds

    def join(self, does):
        self.joined += 1
        self.nodes[self.joined] = does
        return self.joined

    def get_node_ids(self):
        return list(self.nodes)

    def push_messages(self, messages):
        found = []
        for message in messages:
            self.sent += 1
            found.append(str(self.sent))
            node = message.metadata.dst_node_id
            reply = self.nodes[node](over_the_wire(message.content)) if node in self.nodes else None
            if reply is not None:
                self.replies[str(self.sent)] = SimpleNamespace(
                    metadata=SimpleNamespace(reply_to_message_id=str(self.sent), src_node_id=node),
                    content=over_the_wire(reply), has_error=lambda: False,
                )  # fmt: skip
        return found

    def pull_messages(self, identities):
        return [self.replies.pop(identity) for identity in list(identities) if identity in self.replies]


def client_data():
    """The rows of clients as the simulator has them, each with its held-out rows for a test; and the rows of all."""
    made, every = clients_of(DOMAIN, 0)
    return [ClientData(one.name, one.train, one.held_out, one.held_out, False) for one in made], every


def node_for(data, folder):
    """A client that works in this process."""
    return Node(lambda form: data, data.name, Path(folder) / data.name, Path(folder) / "models", METHODS)


def does(node):
    """What Flower's client app does with a message."""

    def answer(content):
        return to_records(node.answer(from_records(content, MOST)))

    return answer


def elsewhere(method, folder, grid=None, patience=10.0, names=CLIENTS, said=None):
    """A federation of the four clients, each a node of a grid in this process."""
    grid = grid or InProcess()
    data, _ = client_data()
    for one in data:
        grid.join(does(node_for(one, folder)))
    said = [] if said is None else said
    post = Post(grid, FEDERATION, FORM, True, names, patience, said.append, grid.clock, grid.pause)
    told = Told(post.gather(len(names)), FORM, "domains", "clients")
    engine = Elsewhere(told, post, torch.float32, SECRET)
    return engine.federation(command_name(type(method)), method), grid


def simulated(method):
    """The same clients in the simulator."""
    data, every = client_data()
    found = federation_of(method, [one.on(CPU) for one in data], every, CPU)
    return Federation(method, found.model, found.clients, found.settings, SECRET)


def apart(one, other):
    """The largest difference between what two federations share."""
    assert one.shared.keys() == other.shared.keys()
    return max((float((one.shared[k] - other.shared[k]).abs().max()) for k in one.shared), default=0.0)

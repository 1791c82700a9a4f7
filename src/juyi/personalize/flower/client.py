"""A client as a Flower app: it answers what the server asks, with the rows that its node names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from juyi.data import Domain, load
from juyi.data.classes import adopt_classes
from juyi.data.doors import check_test, follow
from juyi.errors import DataError, SettingError
from juyi.personalize import METHODS
from juyi.personalize.flower.node import Node
from juyi.personalize.flower.parcel import from_records, to_records
from juyi.personalize.flower.setup import Form
from juyi.personalize.request import TESTED, ClientData, Request, prepare
from juyi.personalize.simulation import part_rows
from juyi.runs import RunFolder
from juyi.training.recording import read_begun

if TYPE_CHECKING:
    from flwr.app import Message
    from flwr.clientapp import ClientApp

MOST = 4_000_000_000
"""Bytes of tensors that a client takes at once."""


def client_app() -> ClientApp:
    """Make the app that Flower runs at each node.

    What is the client's own is said where its node is started, `flower-supernode --node-config`: `client`, its name;
    `data`, its rows; `state`, a folder for what it keeps; `label`, `size` and `test` as for `juyi personalize`; and
    `net`, a network of its own that the server may name.
    """
    from flwr.app import Message
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.query()  # type: ignore[untyped-decorator]
    def answer(message: Message, context: Any) -> Message:
        node = node_of(context.node_config)
        return Message(to_records(node.answer(from_records(message.content, MOST))), reply_to=message)

    return app


def node_of(config: Mapping[str, Any]) -> Node:
    """The client that a node's configuration says.

    Raises:
        SettingError: it lacks something.
    """
    torch.set_num_threads(max(1, int(config.get("threads", torch.get_num_threads()))))
    net = config.get("net")
    if "run" in config:  # every client on this machine, of one set of data
        folder, number = RunFolder(Path(str(config["run"]))), int(config["number"])
        data = _of_run(folder, number)
        state = folder.path / "flower" / "state" / f"{number + 1:04d}"
        return Node(lambda form: data, data.name, state, folder.models, METHODS, None if net is None else str(net))
    lacking = [key for key in ("client", "data", "state") if key not in config]
    if lacking:
        raise SettingError(f"--node-config: lacks {', '.join(lacking)}; say client=NAME data=PATH state=FOLDER")
    state = Path(str(config["state"]))

    def own(form: Form) -> ClientData:
        return own_rows(config, form)

    return Node(own, str(config["client"]), state, state / "models", METHODS, None if net is None else str(net))


def own_rows(config: Mapping[str, Any], form: Form) -> ClientData:
    """A client's own rows, in the form that all have: what it learns from, what it holds out, what tests it.

    Raises:
        DataError: they cannot be brought into that form, or are too few.
    """
    options = {
        "label": config.get("label"),
        "size": config.get("size", form.shape[-1] if len(form.shape) == 3 else None),
    }
    settled = form.empty()

    def read(name: Any) -> Domain:
        found = adopt_classes(follow(load(str(name), **options), settled), settled)
        if found.x.shape[1:] != form.shape or found.classes != form.classes:
            raise DataError(f"{found.name}: has rows of shape {found.x.shape[1:]}, and {form.shape} is what all have")
        return found

    name, domain = str(config["client"]), read(config["data"])
    dealt = part_rows(name, np.flatnonzero(domain.labelled), 0, 0, 0.0 if "test" in config else TESTED)
    test = check_test(read(config["test"]), domain, None) if "test" in config else domain.select(dealt.test)
    return ClientData(name, domain.select(dealt.train), domain.select(dealt.held_out), test, "test" not in config)


def _of_run(folder: RunFolder, number: int) -> ClientData:
    """The rows that a run on this machine deals out to a client."""
    _, method, request, began_with = read_begun(folder, METHODS, Request)
    given = prepare(request, method)
    folder.check_unchanged(began_with, given.fingerprints)
    return given.clients[number]

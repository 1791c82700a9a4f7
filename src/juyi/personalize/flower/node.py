"""A client's side: what it does when it is asked, with rows that stay with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from juyi.errors import DataError, ForeignFileError, JuyiError
from juyi.personalize.base import Personaliser, Shared
from juyi.personalize.client import Client
from juyi.personalize.federation import Federation
from juyi.personalize.flower.keep import Keep
from juyi.personalize.flower.parcel import Parcel
from juyi.personalize.flower.setup import (
    SCALE,
    Form,
    build_for,
    check_size,
    check_version,
    method_from,
    moments,
    own_version,
)
from juyi.personalize.outcome import client_file
from juyi.personalize.request import ClientData
from juyi.personalize.vector import Vector
from juyi.training import Settings, choose_device, write_model

HELLO, VISIT, LOOK, ANSWER, TAKE = "hello", "visit", "look", "answer", "take"
"""What a client is asked: who it is; its part of a round; how it tells held-out rows; and tests; to keep a model."""
SETUP, OWN = "setup", "own"
"""What a client may lack: with what everything began, or what it kept of the round at which the server stands."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Lacking(Exception):
    """A client lacks what it would have to have from before; the server sends it, or lets it begin anew."""


@dataclass(frozen=True, eq=False)
class Standing:
    """A federation as it stands at the server, and this client in it."""

    federation: Federation
    client: Client
    keep: Keep
    data: ClientData


class Node:
    """A client on a machine of its own.

    Args:
        load: gives its rows, in the form that the server says.
        name: what a person calls it.
        folder: where it keeps what is its own.
        models: where it writes the model that it serves.
        methods: those that there are, by name.
        net: a network of one's own that a server may name.
    """

    def __init__(
        self,
        load: Callable[[Form], ClientData],
        name: str,
        folder: Path,
        models: Path,
        methods: Mapping[str, type[Personaliser]],
        net: str | None = None,
    ) -> None:
        self.load, self.name, self.folder, self.models = load, name, folder, models
        self.methods, self.net = methods, net
        self.does: dict[str, Callable[[Parcel], Parcel]] = {
            HELLO: self._hello, VISIT: self._visit, LOOK: self._look, ANSWER: self._answer, TAKE: self._take
        }  # fmt: skip

    def answer(self, asked: Parcel) -> Parcel:
        """Do what is asked; what cannot be done is refused in words."""
        try:
            does = self.does.get(str(asked.note.get("do")))
            if does is None:
                raise ForeignFileError(f"message: asks for {asked.note.get('do')!r}, which no client does")
            return does(asked)
        except Lacking as lacking:
            return Parcel({"lacks": str(lacking)})
        except JuyiError as error:
            return Parcel({"refused": str(error)})

    def _hello(self, asked: Parcel) -> Parcel:
        """Who it is, and how many rows it has of what."""
        check_version(asked.note.get("juyi"), "the server")
        data = self.load(Form.read(asked.note.get("form")))
        parts = (data.train, data.held_out, data.test)
        scaled_by = parts if data.from_own else parts[:2]
        tensors = moments(np.concatenate([part.x for part in scaled_by])) if asked.note.get("scaled") else {}
        note = {
            "juyi": own_version(), "client": self.name, "counts": data.counts.tolist(),
            "fingerprint": "".join(part.fingerprint() for part in parts),
        }  # fmt: skip
        return Parcel(note, tensors, {"rows": data.learns_from, "tested": data.tested_on})

    def _visit(self, asked: Parcel) -> Parcel:
        """Its part of a round."""
        at = self._standing(asked)
        at.keep.forget_all_but({_whole(asked, key) for key in ("own", "best") if asked.note.get(key) is not None})
        update, own, loss = at.federation.visit(at.client)
        if update is None:
            return Parcel({"refused": "its update is no number; try a smaller --learning-rate"})
        at.keep.write(_whole(asked, "round"), own)
        return Parcel({}, update.values, {"size": update.size, "loss": loss})

    def _look(self, asked: Parcel) -> Parcel:
        """How many of its held-out rows it tells under the model that it has now."""
        at = self._standing(asked)
        return Parcel({}, {}, {"right": at.federation.right_of(at.client, at.client.held_out)})

    def _answer(self, asked: Parcel) -> Parcel:
        """Which of its held-out rows and of its test rows it tells, a bit each."""
        at = self._standing(asked)
        held_out, test = (torch.from_numpy(hits) for hits in at.federation.hits_of(at.client, at.data.test))
        return Parcel({}, {"held_out": held_out.to(torch.uint8), "test": test.to(torch.uint8)})

    def _take(self, asked: Parcel) -> Parcel:
        """Write down the model that it serves."""
        at = self._standing(asked)
        at.federation.place(at.client)
        method, rows = at.federation.method, at.data.train
        layers = {"batch_norm": method.batch_norm, "head": method.head}
        name = client_file(at.client.number)
        write_model(self.models, name, at.federation.model.net, rows.x.shape[1:], rows.classes, layers, rows.columns)
        return Parcel({"wrote": name})

    def _standing(self, asked: Parcel) -> Standing:
        """The federation as it stands at the server, and this client in it."""
        begins = Keep(self.folder, asked.note.get("federation"), asked.note.get("name"))
        if isinstance(asked.note.get("setup"), dict):
            check_version(asked.note["setup"].get("juyi"), "the server")
            weights = {n: v for n, v in asked.tensors.items() if n == "beginning" or n.startswith(SCALE)}
            begins.write_setup(weights, asked.note["setup"])
        setup = begins.read_setup()
        if setup is None:
            raise Lacking(SETUP)
        federation, data = self._federation(*setup)
        federation.round = _whole(asked, "round")
        federation.shared = _shared(federation.shared, asked.tensors)
        keep = Keep(self.folder, asked.note.get("federation"), asked.note.get("rounds_of"))
        own: Mapping[str, Tensor] | None = {}
        if asked.note.get("own") is not None:
            own = keep.read(_whole(asked, "own"))
            if own is None:
                raise Lacking(OWN)
        device, share = federation.settings.device, float(asked.figures.get("share", 1.0))
        own = {name: value.to(device) for name, value in (own or {}).items()}
        number = _whole(asked, "client")
        return Standing(
            federation, federation.client_of(federation.clients[0], number, own, federation.round, share), keep, data
        )

    def _federation(self, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> tuple[Federation, ClientData]:
        """A federation of this client alone, with the weights with which all began."""
        method = method_from(note, self.methods, self.net)
        form = Form.read(note.get("form"))
        scale = {name.removeprefix(SCALE): value for name, value in tensors.items() if name.startswith(SCALE)}
        device = choose_device(method.device)
        net = build_for(method, form, scale).to(device)
        model = Vector(net.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
        if "beginning" not in tensors or note.get("precision") not in PRECISIONS:
            raise ForeignFileError("message: does not say with which weights and in which precision all begins")
        check_size(model, tensors["beginning"])
        model["all"] = tensors["beginning"].to(device)
        data = self.load(form)
        settings = Settings(method.random_state, device, PRECISIONS[note["precision"]])
        return Federation(method, model, [data.on(device)], settings), data


def _shared(begun: Shared, tensors: Mapping[str, Tensor]) -> Shared:
    """What the server shares now, each value on the device where it began."""
    found = {name.removeprefix("shared."): value for name, value in tensors.items() if name.startswith("shared.")}
    if found.keys() != begun.keys() or any(found[name].shape != begun[name].shape for name in begun):
        raise DataError("message: what is shared does not fit this network or method; use the same version everywhere")
    return {name: found[name].to(begun[name].device) for name in begun}


def _whole(asked: Parcel, key: str) -> int:
    value = asked.note.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1_000_000:
        raise ForeignFileError(f"message: {key} is {value!r}, and must be a whole number")
    return value

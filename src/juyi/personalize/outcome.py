"""What personalising found: for each client the personal, the general and the local model, and which of them serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from juyi.data import Domain
from juyi.measure import paired_difference, verdict_from_test
from juyi.measure.figures import clean
from juyi.nets import Network
from juyi.personalize.base import Personaliser
from juyi.personalize.federation import Federation
from juyi.personalize.gate import choose_models
from juyi.personalize.known import Known, KnownClient
from juyi.personalize.request import ClientData
from juyi.personalize.sharing import what_is_shared
from juyi.runs import RunFolder
from juyi.runs.files import write_json
from juyi.training import write_model
from juyi.training.recording import note_opening

LOCAL, GENERAL, TUNED = "local", "fedavg", "fedavg_ft"
"""What personal models are held against: alone, one for all, and the one for all fine-tuned by each."""
SERVED = "served"
"""For each client the one of its three models that it serves."""
VISITS = 5
"""So many rounds a newcomer goes through alone, before it is scored."""


@dataclass(frozen=True, eq=False)
class Answers:
    """How a client's model does.

    Args:
        held_out: bool, which of its held-out rows it tells.
        hits: bool, which of its test rows it tells.
    """

    held_out: np.ndarray
    hits: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share of its test rows that it tells."""
        return float(self.hits.mean())


class Outcome:
    """Writes what each client's models come to into a run folder and its record.

    Args:
        folder: where to.
        record: what run.json will hold; `results`, `verdict`, `openings` and `personal` are filled in.
        learnt: what went through the rounds, by name.
        chosen: the method whose personal models are offered.
    """

    def __init__(
        self,
        folder: RunFolder,
        record: dict[str, Any],
        learnt: dict[str, Federation],
        chosen: str,
    ) -> None:
        self.folder, self.record, self.learnt, self.chosen = folder, record, learnt, chosen
        self.offered = tuple(dict.fromkeys((chosen, GENERAL, LOCAL)))

    def write(self, known: Known, tests: Sequence[Domain] = (), newcomers: Sequence[ClientData] = ()) -> None:
        """Write everything; the tests are opened here, once, after all else is settled.

        Args:
            known: the clients that took part.
            tests: what each is tested on, where that is on this machine.
            newcomers: clients that come later.
        """
        record, names = self.record, list(self.learnt)
        tested = record["data"].get("test", record["data"]["clients"])["name"]
        note_opening(self.folder, record, tested)
        answers_of = {name: [Answers(*each) for each in one.hits(tests)] for name, one in self.learnt.items()}
        found = [{name: answers_of[name][number] for name in names} for number in range(len(known.clients))]
        serves = self._gate(found) if record["request"]["gate"] else [self.chosen] * len(found)
        for answers, name in zip(found, serves, strict=True):
            answers[SERVED] = answers[name]
        on = {"data": tested, "role": "test", "over": "clients"}
        record["personal"] = {name: self._summary(found, name) for name in (*names, SERVED)}
        for name in (*names, SERVED):
            one = record["personal"][name]
            rows = int(sum(len(answers[name].hits) for answers in found))
            record["results"].append(
                {"name": "accuracy", "model": name, "value": one["mean"], "low": one["low"], "high": one["high"],
                 "n": rows, "on": on, "saw_target_labels": False}
            )  # fmt: skip
        record["gate"] = self._gated(found, serves)
        record["shared"] = {name: what_is_shared(federation) for name, federation in self.learnt.items()}
        if self._is_private:
            record["privacy"] = {name: federation.budget.record() for name, federation in self.learnt.items()}
        record["traffic"] = {name: self._traffic(federation) for name, federation in self.learnt.items()}
        record["verdict"] = verdict_from_test(
            np.concatenate([answers[SERVED].hits for answers in found]),
            np.concatenate([answers[GENERAL].hits for answers in found]),
            SERVED, GENERAL, rows="images" if len(known.shape) == 3 else "rows", subject="Personalising",
            without="one model for all",
        )  # fmt: skip
        record["warnings"] += self._warnings()
        later = [
            {name: self._newcomer(federation, client, k) for name, federation in self.learnt.items()}
            for k, client in enumerate(newcomers)
        ]
        if later:
            record["newcomers"] = {name: self._summary(later, name) for name in names}
        self._figures(known, found, serves, list(zip(newcomers, later, strict=True)))
        self._models(known, serves)

    def _gate(self, found: list[dict[str, Answers]]) -> list[str]:
        """The model that each client serves: the personal one, unless held-out rows prefer another."""
        hits = [np.stack([answers[name].held_out for name in self.offered]) for answers in found]
        chosen = [choose_models([own])[0] for own in hits] if self._is_private else choose_models(hits)
        return [self.offered[number] for number in chosen]

    @property
    def _is_private(self) -> bool:
        """Whether clients may not tell each other how their held-out rows did."""
        return self.learnt[self.chosen].method.privacy != "none"

    def _summary(self, found: list[dict[str, Answers]], name: str) -> dict[str, float]:
        """What a model comes to over the clients."""
        values = np.array([answers[name].accuracy for answers in found])
        n = len(values)
        half = float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
        hits = np.concatenate([answers[name].hits for answers in found])
        worst = np.sort(values)[: max(1, round(n / 10))]
        summary = {
            "mean": float(values.mean()), "low": max(0.0, float(values.mean()) - half),
            "high": min(1.0, float(values.mean()) + half), "over_samples": float(hits.mean()),
            "worst_tenth": float(worst.mean()), "spread": float(values.std()),
        }  # fmt: skip
        for other in (LOCAL, GENERAL):
            summary[f"hurt_against_{other}"] = float(
                np.mean([answers[name].accuracy < answers[other].accuracy for answers in found])
            )
        return {key: round(value, 4) for key, value in summary.items()}

    def _gated(self, found: list[dict[str, Answers]], serves: list[str]) -> dict[str, Any]:
        """How far the served models fall short of the best of the three, on tests that chose nothing."""
        short = [max(answers[name].accuracy for name in self.offered) - answers[SERVED].accuracy for answers in found]
        worse = [
            any(paired_difference(answers[SERVED].hits, answers[other].hits).high < 0 for other in (LOCAL, GENERAL))
            for answers in found
        ]
        return {
            "on": self.record["request"]["gate"],
            "serve": {name: serves.count(name) for name in self.offered},
            "shortfall": round(float(np.mean(short)), 4),
            "surely_worse": round(float(np.mean(worse)), 4),
        }

    def _traffic(self, federation: Federation) -> dict[str, Any]:
        """Bytes down and up, of a client in a round; how many updates were lost, and how many refused."""
        visits = max(1, federation.visits)
        return {
            "down": round(federation.sent / visits), "up": round(federation.received / visits),
            "lost": federation.lost, "refused": federation.rejected, "round": federation.round,
        }  # fmt: skip

    def _newcomer(self, federation: Federation, data: ClientData, number: int) -> Answers:
        """A client that was not there: it goes through rounds alone, with its few rows, and sends nothing."""
        own: dict[str, Any] = {}
        place = len(federation.clients) + number
        rows = data.on(federation.settings.device)
        for visit in range(VISITS):
            update, kept, _ = federation.visit(federation.client_of(rows, place, own, federation.round + visit))
            own = own if update is None else kept
        client = federation.client_of(rows, place, own, federation.round + VISITS)
        return Answers(*federation.hits_of(client, data.test))

    def _warnings(self) -> list[str]:
        found = [
            f"{name}: {federation.rejected:,} updates of clients were refused, which were no numbers; try a smaller "
            "--learning-rate"
            for name, federation in self.learnt.items()
            if federation.rejected and not federation.method.learns_like
        ]
        hurt = self.record["personal"][SERVED][f"hurt_against_{LOCAL}"]
        if hurt > 0.25:
            found.append(f"{hurt:.0%} of the clients would do better alone: what others taught them did not help them")
        return found

    def _figures(
        self,
        known: Known,
        found: list[dict[str, Answers]],
        serves: list[str],
        later: list[tuple[ClientData, dict[str, Answers]]],
    ) -> None:
        """Write each client's accuracies, how classes are shared, and how held-out rows did by rounds."""

        def one(client: KnownClient, answers: dict[str, Answers], serving: str | None) -> dict[str, Any]:
            return {
                "name": clean(client.name), "rows": client.learns_from, "tested": client.tested_on,
                "classes": client.counts.tolist(), "serves": serving,
                "accuracy": {name: round(answer.accuracy, 4) for name, answer in answers.items()},
            }  # fmt: skip

        write_json(
            self.folder.figures / "clients.json",
            {
                "clients": [one(*each) for each in zip(known.clients, found, serves, strict=True)],
                "newcomers": [one(*each, None) for each in later],
                "classes": [clean(name) for name in known.classes],
                "personal": self.chosen,
            },
        )
        rounds = {name: federation.looks for name, federation in self.learnt.items() if federation.looks}
        write_json(self.folder.figures / "rounds.json", {"held_out": rounds})

    def _models(self, known: Known, serves: list[str]) -> None:
        """Write the general model, and for each client the one that it serves."""

        def write(method: Personaliser, name: str, net: Network) -> None:
            layers = {"batch_norm": method.batch_norm, "head": method.head}
            write_model(self.folder.models, name, net, known.shape, known.classes, layers, known.columns or None)

        general = self.learnt[GENERAL]
        general.place_general()
        write(general.method, GENERAL, general.model.net)
        for serving in dict.fromkeys(serves):
            mine = [k for k, name in enumerate(serves) if name == serving]
            method = self.learnt[serving].method
            self.learnt[serving].hand_over(mine, lambda k, net, method=method: write(method, client_file(k), net))  # type: ignore[misc]
        beyond = [name for name in dict.fromkeys(serves) if answers_otherwise(self.learnt[name].method)]
        for name in beyond:
            self.record["notes"].append(
                f"the models of {name} on disk are networks alone: how it answers besides needs the clients' own rows"
            )


def client_file(number: int) -> str:
    """The name of a client's model.

    >>> client_file(0)
    'client-0001'
    """
    return f"client-{number + 1:04d}"


def answers_otherwise(method: Personaliser) -> bool:
    """Whether a method answers by more than a network."""
    return type(method).predict_for is not Personaliser.predict_for

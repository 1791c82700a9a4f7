"""Of a run with clients: who is served by which model, what it comes to over all, rounds, newcomers, and traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from juyi.report.charts import Figure
from juyi.report.clients import (
    GENERAL,
    LOCAL,
    ClientLine,
    in_order,
    personal_of,
    read_clients,
    share,
    table_of,
)
from juyi.report.markup import definitions, escape, finite, quantity, section
from juyi.report.personalized_charts import Points, cells, dots, lines, spoken
from juyi.report.personalized_tables import head_of, model_of, table
from juyi.report.personalized_travel import shared, traffic
from juyi.report.summary import SERVED, interval_text

MOST_COLUMNS, MOST_CELLS = 400, 60
"""So many clients are drawn at most: as columns of dots, and as columns of cells."""
CLIENTS_NOTE = (
    "A column is a client, and a dot the accuracy of one of its models on its own test rows. The general model is one "
    "for all clients; the local model learnt from the client’s rows alone; the personal model learnt from them and "
    "from what others taught. Ringed is the one that the client serves: with the gate, held-out rows chose it, the "
    "client’s own steadied by those of all clients; no test did. Where the local model lies highest, the others taught "
    "this client nothing. A dot is counted on few rows (of 100, it may be 5 to 10 points off), so look at all columns "
    "and not at one."
)
OVER_NOTE = (
    "The mean counts every client alike; its 95 % interval covers the choice of clients. The mean over rows counts "
    "every test row alike, as the verdict does. The worst tenth is the mean of the tenth of the clients that do worst: "
    "a good mean can hide it. The spread is the standard deviation over clients, in points. Hurt is the share of the "
    "clients that do worse than with the other model; where tests are small, chance alone hurts many."
)
ROUNDS_NOTE = (
    "How much of their held-out rows the clients’ models tell, mean over clients. The large dot is the round that was "
    "kept. These rows chose it, so its value is a little too good; the test says what it is worth. A model without a "
    "line went through no rounds of its own."
)
NEWCOMERS_NOTE = (
    "Clients that were not there in training and have few labelled rows. A newcomer is sent what the others share, "
    "learns from its own rows, and sends nothing back. There is no gate: each model is scored as it is. Means over so "
    "few clients say little."
)
PARTITION_NOTE = (
    "A column is a client, a row a class; the stronger a cell’s colour, the more rows of the class the client learns "
    "from. Where the columns look alike, one model can serve all; where each has classes of its own, it can hardly."
)


def parts(
    record: dict[str, Any], clients: dict[str, Any], rounds: dict[str, Any], drawn: dict[str, dict[str, Figure]]
) -> list[str]:
    """Write the sections of a run with clients; empty ones for any other run.

    Args:
        record: what run.json holds.
        clients: what figures/clients.json holds.
        rounds: what figures/rounds.json holds.
        drawn: charts that the page draws; those of these sections are added.
    """
    personal = personal_of(clients, record)
    return [
        each_client(clients, personal, drawn),
        over_all(record, personal),
        partition(record, clients, drawn),
        by_rounds(record, rounds, personal, drawn),
        newcomers(record, clients, personal),
        traffic(record, personal),
        shared(record, personal),
    ]


def each_client(figure: dict[str, Any], personal: str, drawn: dict[str, dict[str, Figure]]) -> str:
    """Show each client's accuracy under its models, the worst served first, as dots and, folded away, as a table."""
    every = sorted(read_clients(figure), key=lambda client: client.served)
    shown = every[:MOST_COLUMNS]
    known = {name for client in shown for name in client.accuracy}
    offered = [name for name in dict.fromkeys((GENERAL, LOCAL, personal)) if name in known]
    if not offered:
        return ""
    drawn["client-dots"] = {"only": dots(shown, offered, personal)}
    place = '<div class="chart tall" id="client-dots" role="img" aria-label="Accuracy of each client’s models"></div>'
    columns = in_order([name for name in known if name != SERVED], personal)
    body = [
        [f"{escape(one.name)}", *(_of_client(one, name) for name in columns), f"{one.rows:,}", f"{one.tested:,}",
         escape(one.serves or "–"), f"<code>{one.model}</code>"]
        for one in shown
    ]  # fmt: skip
    heads = ["client", *(head_of(name, personal) for name in columns), "rows learnt from", "tested", "serves"]
    rows = _folded(table([*heads, "its file, for predict --model"], body))
    said = f"<p class='what'>{_first(shown, every, 'worst served')}</p>" if len(shown) < len(every) else ""
    return section("each-client", "Each client’s models", f"<figure>{place}</figure>{said}{rows}", CLIENTS_NOTE)


def _of_client(client: ClientLine, model: str) -> str:
    told = quantity(client.accuracy.get(model))
    return f"<b>{told}</b>" if model == client.serves else told


def _first(shown: Sequence[object], every: Sequence[object], what: str = "first") -> str:
    return f"The {len(shown):,} {what} of {len(every):,} clients are shown."


def over_all(record: dict[str, Any], personal: str) -> str:
    """Write what each model comes to over the clients, and what the gate did."""
    found = {name: one for name, one in table_of(record.get("personal")).items() if isinstance(one, dict)}
    body = []
    for name in in_order(list(found), personal):
        one = found[name]
        spread = finite(one.get("spread"))
        hurt = {other: quantity(share(one.get(f"hurt_against_{other}"))) for other in (LOCAL, GENERAL)}
        body.append([
            model_of(name, personal), _mean(one), quantity(share(one.get("over_samples"))),
            quantity(share(one.get("worst_tenth"))), "–" if spread is None else f"{100 * spread:.1f}",
            *("–" if name == other else told for other, told in hurt.items()),
        ])  # fmt: skip
    heads = ["model", "mean over clients", "mean over rows", "worst tenth", "spread", "hurt against the local model",
             "hurt against the general model"]  # fmt: skip
    said = gate_sentence(record, personal)
    told = f'<p class="what">{escape(said)}</p>' if said else ""
    return section("over-clients", "Over all clients", table(heads, body) + told if body else "", OVER_NOTE)


def gate_sentence(record: dict[str, Any], personal: str) -> str:
    """Say how many clients serve which model, and what choosing by few rows cost; empty if nothing is known of it.

    Example:
        >>> gate = {"on": True, "serve": {"ditto": 7, "fedavg": 0, "local": 1}, "shortfall": 0.01, "surely_worse": 0.0}
        >>> print(gate_sentence({"gate": gate}, "ditto").split(". ")[0])
        Of 8 clients 7 serve the personal model (ditto), 0 the general model (fedavg), 1 the local model
    """
    gate = table_of(record.get("gate"))
    serve = {
        str(name): int(n) for name, value in table_of(gate.get("serve")).items() if (n := finite(value)) is not None
    }
    if not serve:
        return ""
    if gate.get("on") is False:
        parts = [f"There was no gate: all {sum(serve.values()):,} clients serve the {spoken(personal, personal)}."]
    else:
        first, *others = [f"the {spoken(name, personal)}" for name in serve]
        numbers = [f"{number:,}" for number in serve.values()]
        more = "".join(f", {number} {name}" for number, name in zip(numbers[1:], others, strict=True))
        parts = [f"Of {sum(serve.values()):,} clients {numbers[0]} serve {first}{more}."]
    shortfall, worse = finite(gate.get("shortfall")), share(gate.get("surely_worse"))
    if shortfall is not None:
        parts.append(
            f"On the test, what a client serves is {100 * shortfall:.1f} points below the best of its models, in the "
            "mean: that is what not knowing the test costs, chance included."
        )
    if worse is not None:
        parts.append(
            f"{quantity(worse)} of the clients serve a model that is surely worse than their local or the general one "
            "(95 % interval of the difference on the same test rows; up to 5 % by chance alone)."
        )
    return " ".join(parts)


def partition(record: dict[str, Any], figure: dict[str, Any], drawn: dict[str, dict[str, Figure]]) -> str:
    """Show how many rows of each class each client learns from, as cells and, folded away, as a table."""
    every = read_clients(figure)
    named = figure.get("classes")
    classes = [str(name) for name in named] if isinstance(named, list) else []
    shown = every[:MOST_CELLS]
    if not classes or not any(client.classes for client in shown):
        return ""
    drawn["client-cells"] = {"only": cells(shown, classes)}
    height = min(max(6.0 + 1.3 * len(classes), 13.0), 34.0)
    place = (
        f'<div class="chart" id="client-cells" style="height:{height:.1f}rem" role="img" '
        'aria-label="Rows of each class that each client has"></div>'
    )
    rows = [
        (one.name, ", ".join(f"{name}: {n:,}" for name, n in zip(classes, one.classes, strict=False) if n))
        for one in shown
    ]
    table = _folded(definitions("Rows of each class", rows))
    facts = table_of(record.get("partition"))
    differ = share(facts.get("differing"))
    said = [_first(shown, every)] if len(shown) < len(every) else []
    said += [f"Dealt out by {facts['how']}."] if isinstance(facts.get("how"), str) and facts["how"] != "domains" else []
    if differ is not None:
        said.append(
            f"A client’s shares of the classes and all clients’ differ by {differ:.2f}, mean over clients "
            "(0: all alike, 1: nothing in common)."
        )
    told = f'<p class="what">{escape(" ".join(said))}</p>' if said else ""
    return section("partition", "Who has what", f"<figure>{place}</figure>{told}{table}", PARTITION_NOTE)


def by_rounds(
    record: dict[str, Any], figure: dict[str, Any], personal: str, drawn: dict[str, dict[str, Figure]]
) -> str:
    """Show how the clients' held-out rows were told by rounds, a line a model."""
    looks = {str(name): _points(points) for name, points in table_of(figure.get("held_out")).items()}
    looks = {name: looks[name] for name in in_order(list(looks), personal) if looks[name]}
    if max(map(len, looks.values()), default=0) < 2:
        return ""
    sent = table_of(record.get("traffic"))
    kept = {name: finite(table_of(sent.get(name)).get("round")) for name in looks}
    drawn["round-lines"] = {"only": lines(looks, kept, personal)}
    place = '<div class="chart tall" id="round-lines" role="img" aria-label="Held-out rows told, by rounds"></div>'
    return section("rounds", "Round by round", f"<figure>{place}</figure>", ROUNDS_NOTE)


def _points(points: object) -> Points:
    found: Points = []
    for point in points if isinstance(points, list) else []:
        if isinstance(point, list) and len(point) == 2:
            at, value = finite(point[0]), share(point[1])
            if at is not None and value is not None:
                found.append((at, value))
    return found


def newcomers(record: dict[str, Any], figure: dict[str, Any], personal: str) -> str:
    """Write how clients do that came later, a row each, and their means."""
    every = read_clients(figure, "newcomers")
    columns = in_order([name for one in every for name in one.accuracy], personal)
    if not columns:
        return ""
    body = [
        [escape(one.name), f"{one.rows:,}", f"{one.tested:,}", *(quantity(one.accuracy.get(name)) for name in columns)]
        for one in every
    ]
    means = table_of(record.get("newcomers"))
    if len(every) > 1 and means:
        body.append(["<b>mean</b>", "", "", *(_mean(table_of(means.get(name))) for name in columns)])
    rows = table(["newcomer", "rows it has", "tested", *(head_of(name, personal) for name in columns)], body)
    return section("newcomers", "Clients that came later", rows, NEWCOMERS_NOTE)


def _mean(one: dict[str, Any]) -> str:
    """A mean and its interval."""
    return f"{quantity(share(one.get('mean')))} <small>{interval_text({**one, 'name': 'accuracy'})}</small>"


def _folded(table: str) -> str:
    return f"<details><summary>As a table</summary>{table}</details>" if table else ""

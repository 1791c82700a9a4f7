"""Of a run with clients: what travels between them and the server, what that tells of them, and what noise hides."""

from __future__ import annotations

from typing import Any

from juyi.report.clients import count, in_order, table_of
from juyi.report.markup import duration, escape, finite, section, weight
from juyi.report.personalized_tables import model_of, table

TRAFFIC_NOTE = (
    "Bytes of one client in one round, mean over all that took part. They are counted and not measured: in a "
    "simulator nothing travels. A lost update is one of a client that dropped out before it answered; a refused one "
    "held values that are no numbers. Seconds are those of all clients, one after the other, on this machine. Dashes: "
    "no rounds of its own, but those of another model."
)
SHARED_NOTE = (
    "What a client sends to the server, and what the server sends to each client, in a round: found by letting a "
    "client do its part, and not by what a method says of itself. Rows never travel; but what does travel was made "
    "from them. Statistics are running means and variances of batch norm. What is told besides is needed for weights, "
    "for the choice of the round and of the model, and for the scale of the inputs; here, in a simulator, nothing "
    "leaves the machine."
)
PARTS = {
    "all": "the whole model", "body": "the body, without the head", "rest": "all but batch norm", "head": "the head",
    "weights": "all weights", "norm": "batch norm",
}  # fmt: skip
BESIDES = {
    "number_of_rows": "number of rows", "mean_loss": "mean loss of a round",
    "held_out_accuracy": "accuracy on held-out rows", "scale_of_inputs": "mean and spread of the inputs",
}  # fmt: skip
HIDES = {"client": "whether a client took part at all", "sample": "any one row of a client"}


def traffic(record: dict[str, Any], personal: str) -> str:
    """Write what each model sends, what was lost, and how long it took."""
    found = {name: one for name, one in table_of(record.get("traffic")).items() if isinstance(one, dict)}
    seconds = table_of(record.get("seconds"))
    body = []
    for name in in_order(list(found), personal):
        one = found[name]
        own = name in seconds
        kept = finite(one.get("round"))
        told = [weight(one.get("down")), weight(one.get("up")), _number(one.get("lost")), _number(one.get("refused"))]
        body.append([
            model_of(name, personal), *(told if own else ["–"] * 4), "–" if kept is None else f"{kept:g}",
            duration(seconds.get(name)),
        ])  # fmt: skip
    heads = ["model", "down to a client", "up from a client", "lost updates", "refused updates", "round that was kept",
             "time"]  # fmt: skip
    return section("traffic", "What travels, and how long it took", table(heads, body) if body else "", TRAFFIC_NOTE)


def _number(value: object) -> str:
    known = finite(value)
    return "–" if known is None else f"{known:,.0f}"


def shared(record: dict[str, Any], personal: str) -> str:
    """Write what each model makes clients share, and what of it noise hides."""
    found = {name: one for name, one in table_of(record.get("shared")).items() if isinstance(one, dict)}
    spent = table_of(record.get("privacy"))
    body = []
    for name in in_order(list(found), personal):
        one = found[name]
        up, down = (_sent(one.get(way)) for way in ("up", "down"))
        told = [words for key, words in BESIDES.items() if table_of(one.get("besides")).get(key) is True]
        row = [model_of(name, personal), up, down, escape(", ".join(told) or "nothing")]
        body.append([*row, _epsilon(table_of(spent.get(name)))] if spent else row)
    heads = ["model", "a client sends", "it is sent", "told besides", *(["ε"] if spent else [])]
    said = privacy_sentence(spent)
    more = f'<p class="what">{escape(said)}</p>' if said else ""
    return section("shared", "What leaves a client", table(heads, body) + more if body else "", SHARED_NOTE)


def _sent(entries: object) -> str:
    """Write what is sent, a thing a line."""
    lines = []
    for entry in entries if isinstance(entries, list) else []:
        one = table_of(entry)
        what = PARTS.get(str(one.get("part")), str(one.get("name")))
        shape = one.get("shape")
        numbers = 1
        for size in shape if isinstance(shape, list) else []:
            numbers *= count(size)
        statistics = count(one.get("statistics"))
        more = f", {statistics:,} of them statistics" if statistics else ""
        first = " (first round only)" if one.get("first_round_only") is True else ""
        lines.append(f"{escape(what)}: {numbers:,} numbers{more}, {weight(one.get('bytes'))}{first}")
    return "<br>".join(lines) or "nothing"


def _epsilon(one: dict[str, Any]) -> str:
    epsilon = finite(one.get("epsilon"))
    return "unbounded" if epsilon is None else f"{epsilon:.2f}"


def privacy_sentence(spent: dict[str, Any]) -> str:
    """Say what noise hides, how well, and what it does not hide; empty where there was none.

    Example:
        >>> told = {"hides": "sample", "delta": 1e-5, "epsilon": 7.9, "spent": [{"epsilon": 7.9}]}
        >>> print(privacy_sentence({"fedavg": told}).split(".")[0])
        Noise hides any one row of a client: ε as in the table, with δ = 1e-05
    """
    kinds = [one for one in map(table_of, spent.values()) if str(one.get("hides")) in HIDES]
    if not kinds:
        return ""
    hides, delta = str(kinds[0]["hides"]), finite(kinds[0].get("delta"))
    return (
        f"Noise hides {HIDES[hides]}: ε as in the table, with δ = {0.0 if delta is None else delta:g}. It is that of "
        "one model’s rounds; for whoever sees several models their ε add up. Held-out rows were not asked which round "
        "is best, so the last one serves; each client chose by its own rows alone what it serves. The accuracies on "
        "this page have no noise. The noise is drawn from the seed: whoever knows it can take the noise away."
    )

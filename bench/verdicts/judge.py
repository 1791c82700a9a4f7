"""Choose and judge by the records, without labels; then, and only then, look at the truth and count.

    python bench/verdicts/judge.py                     all records: writes results.json and README.md's table
    python bench/verdicts/judge.py --from FOLDER       other records (development): prints the summary, writes nothing

A verdict is one (pair, method, seed).  The truth is the paired difference of accuracy on the test's labels.
`helped` is wrong where the gain is not above 0, `hurt` where it is not below 0, `no difference` where its 95 % interval
lies outside ±2 points; so a verdict is never right by being vague.  Intervals resample pairs, not rows.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from juyi.adapt.choose import Candidate, choose, oracle_choice
from juyi.measure import bootstrap_interval, paired_difference, wilson_interval

HERE = Path(__file__).parent
RECORDS = HERE / "records"
MARGIN = 0.02


def read(place: Path) -> tuple[dict[str, Candidate], dict[str, np.ndarray], dict]:
    """Return the candidates by NAME/MOMENT, which test rows each final model is right on, and the rest."""
    about = json.loads(place.read_text())
    arrays = dict(np.load(place.with_suffix(".npz")))
    label = arrays["source_label"].astype(np.int64)
    candidates, right = {}, {}
    for name in about["accuracy"]:
        for moment in (1, 2, 3):
            if f"{name}/{moment}/target" in arrays:
                packed = arrays.get(f"{name}/{moment}/test_right", arrays.get(f"{name}/test_right"))
                right[f"{name}/{moment}"] = np.unpackbits(packed)[: about["test_rows"]].astype(bool)
                sides = [-arrays[f"{name}/{moment}/{side}"].astype(np.float64) / 20 for side in ("source", "target")]
                candidates[f"{name}/{moment}"] = Candidate(sides[0], label, sides[1])
    return candidates, right, about


def judge(place: Path) -> dict:
    """Choose among the final models, and give a verdict on each, by what is known without labels."""
    candidates, rows, about = read(place)
    final = {name.removesuffix("/3"): c for name, c in candidates.items() if name.endswith("/3")}
    choice = choose(final)
    everywhen = choose({name: c for name, c in candidates.items() if not name.startswith("source_only")}
                       | {"source_only": final["source_only"]})  # fmt: skip
    right = {name.removesuffix("/3"): values for name, values in rows.items() if name.endswith("/3")}
    accuracy = {name: float(values.mean()) for name, values in right.items()}
    moments = {name: float(values.mean()) for name, values in rows.items() if not name.startswith("source_only")}
    moments["source_only"] = accuracy["source_only"]
    best = oracle_choice(accuracy).name
    verdicts = []
    for name, evidence in choice.evidence.items():
        truth = paired_difference(right[name], right["source_only"])
        verdicts.append({
            "method": name, "answer": evidence.answer, "gain": truth.gain, "low": truth.low, "high": truth.high,
            "wrong": wrong(evidence.answer, truth), "disagreement": evidence.disagreement,
            "jury": evidence.jury and evidence.jury.value, "jury_low": evidence.jury and evidence.jury.low,
            "jury_high": evidence.jury and evidence.jury.high,
            "coherence": evidence.coherence, "accuracy_floor": evidence.accuracy_floor.value,
            "flags": list(evidence.flags),
            "rehearsal": about["rehearsal"].get(name, {}).get("gain"),
        })  # fmt: skip
    return {
        "pair": about["pair"], "seed": about["seed"], "accuracy": accuracy, "chosen": choice.name,
        "serves": choice.serves, "oracle": best, "out": choice.out, "verdicts": verdicts,
        "regret": {
            "chosen": accuracy[best] - accuracy[choice.name],
            "serves": accuracy[best] - accuracy[choice.serves],
            "source_only": accuracy[best] - accuracy["source_only"],
            **{name: accuracy[best] - accuracy[name] for name in accuracy},
            "of all moments": max(moments.values()) - moments[everywhen.name],
            **{rule: accuracy[best] - accuracy[pick] for rule, pick in rivals(final).items()},
        },
    }  # fmt: skip


def rivals(final: dict[str, Candidate]) -> dict[str, str]:
    """What other rules of the literature choose, without a veto: entropy, InfoMax, accuracy on the source."""
    from scipy.special import softmax

    from juyi.adapt.choose import infomax

    p = {name: softmax(c.target, axis=1) for name, c in final.items()}
    entropy = {name: -(q * np.log(np.maximum(q, 1e-300))).sum(1).mean() for name, q in p.items()}
    source = {name: (c.source.argmax(1) == c.source_label).mean() for name, c in final.items()}
    return {
        "by entropy": min(entropy, key=entropy.get),
        "by InfoMax": max(p, key=lambda name: infomax(p[name])),
        "by source accuracy": max(source, key=source.get),
    }


def wrong(answer: str, truth) -> bool | None:
    """Whether a verdict is wrong; None where none was given."""
    if answer == "cannot_tell":
        return None
    if answer == "no_difference":
        return truth.low > MARGIN or truth.high < -MARGIN
    return truth.gain <= 0 if answer == "helped" else truth.gain >= 0


def summarise(judged: list[dict]) -> dict:
    """Count, with intervals that resample whole pairs."""
    verdicts = [{**v, "pair": j["pair"]} for j in judged for v in j["verdicts"]]
    given = [v for v in verdicts if v["wrong"] is not None]
    cluster = np.unique([v["pair"] for v in given], return_inverse=True)[1]
    every = np.unique([v["pair"] for v in verdicts], return_inverse=True)[1]
    share = lambda values, groups: interval(np.asarray(values, float), groups)  # noqa: E731
    regret = {rule: [j["regret"][rule] for j in judged if rule in j["regret"]] for rule in judged[0]["regret"]}
    pairs = np.unique([j["pair"] for j in judged], return_inverse=True)[1]
    return {
        "pairs": len({j["pair"] for j in judged}),
        "runs": len(judged),
        "verdicts": len(verdicts),
        "given": len(given),
        "answers": dict(Counter(v["answer"] for v in verdicts)),
        "wrong_among_given": share([v["wrong"] for v in given], cluster),
        "cannot_tell": share([v["wrong"] is None for v in verdicts], every),
        "wrong_by_answer": {
            answer: sum(v["wrong"] for v in given if v["answer"] == answer) for answer in {v["answer"] for v in given}
        },
        "regret": {
            rule: {"mean": float(np.mean(values)), "worst": float(np.max(values)), "n": len(values)}
            | ({"interval": share(values, pairs)} if len(values) == len(pairs) else {})
            for rule, values in regret.items()
        },
    }


def interval(values: np.ndarray, groups: np.ndarray) -> dict:
    """The mean with an interval that resamples whole groups; where all are alike, Wilson's, of as many as groups."""
    if len(set(values.tolist())) == 1 and values[0] in (0.0, 1.0):
        pairs = len(set(groups.tolist()))
        low, high = wilson_interval(int(values[0]) * pairs, pairs)
        return {"value": float(values[0]), "low": low, "high": high}
    found = bootstrap_interval(np.mean, values, cluster=groups)
    return {"value": found.value, "low": found.low, "high": found.high}


def shown(found: dict) -> str:
    """The table of the README, from results.json."""
    names = {
        "first_opening": "the benchmark, opened once, by the rule as it was then",
        "benchmark": "the benchmark again, by the revised rule (which has seen it)",
        "confirmation": "other pairs, opened once, by the revised rule",
    }
    heads = (
        "", "pairs", "verdicts", "wrong among those given", "cannot tell", "regret of the chosen: mean, worst",
        "of who serves", "of source only",
    )  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for key, name in names.items():
        if key not in found:
            continue
        one = found[key]
        wrongly, silent = one["wrong_among_given"], one["cannot_tell"]
        regret = one["regret"]
        cells = (
            name, str(one["pairs"]), str(one["verdicts"]),
            f"{percent(wrongly)} ({round(wrongly['value'] * one['given'])} of {one['given']})", percent(silent),
            *(f"{regret[who]['mean']:.3f}, {regret[who]['worst']:.3f}" for who in ("chosen", "serves", "source_only")),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def percent(found: dict) -> str:
    return f"{found['value'] * 100:.1f} % [{found['low'] * 100:.0f}, {found['high'] * 100:.0f}]"


def write(found: dict) -> None:
    """Write results.json, and the table between the markers of README.md."""
    (HERE / "results.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    page = HERE / "README.md"
    text = page.read_text()
    begin, end = "<!-- results:begin -->", "<!-- results:end -->"
    before, after = text.partition(begin)[0], text.partition(end)[2]
    page.write_text(f"{before}{begin}\n{shown(found)}\n{end}{after}")


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--from", dest="source", type=Path)
    words.add_argument(
        "--first-opening", type=Path, help="keep the summary of these records as that of the first opening"
    )
    given = words.parse_args()
    if given.source:
        print(json.dumps(summarise([judge(place) for place in sorted(given.source.glob("*.json"))]), indent=1))
        return
    place = HERE / "results.json"
    found = json.loads(place.read_text()) if place.exists() else {}
    if given.first_opening:
        found["first_opening"] = summarise([judge(one) for one in sorted(given.first_opening.glob("*--0.json"))])
    else:
        for name, folder in (("benchmark", RECORDS), ("confirmation", RECORDS.with_name("confirmation"))):
            judged = [judge(one) for one in sorted(folder.glob("*.json"))]
            if judged:
                found[name] = summarise(judged) | {"records": judged}
    write(found)
    print(shown(found))


if __name__ == "__main__":
    main()

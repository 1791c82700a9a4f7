"""The page of a run with clients: its tables say what the figures say, at any size, and trust nothing in the folder."""

import json
import random
import re

import pytest

from juyi.report import compare, summary_lines, write_report
from juyi.report.clients import file_of, read_clients
from juyi.report.comparison_page import render as render_comparison
from juyi.report.page import contents, losses, render, title
from juyi.report.personalized import MOST_CELLS, MOST_COLUMNS, gate_sentence, parts
from juyi.report.summary import headline
from juyi.runs.files import write_json
from juyi.runs.folder import RunFolder
from report.test_page import HOSTILE, Reader

MODELS = ("local", "fedavg", "fedavg_ft", "ditto")
SECTIONS = ["each-client", "over-clients", "partition", "rounds", "newcomers", "traffic", "shared"]


def make_client(number, classes=3, serves="ditto", seed=0):
    generator = random.Random(1000 * seed + number)
    accuracy = {name: round(generator.random(), 4) for name in MODELS}
    counts = [generator.randrange(40) for _ in range(classes)]
    accuracy |= {"served": accuracy[serves]} if serves else {}
    return {
        "name": f"person {number}", "rows": sum(counts), "tested": 50, "classes": counts, "serves": serves,
        "accuracy": accuracy,
    }  # fmt: skip


def make_figure(clients=5, classes=3):
    return {
        "clients": [make_client(k, classes, ("ditto", "local", "fedavg")[k % 3]) for k in range(clients)],
        "newcomers": [make_client(k, classes, None) for k in (101, 102)],
        "classes": [f"class {code}" for code in range(classes)],
        "personal": "ditto",
    }


def make_summary(value):
    return {"mean": value, "low": value - 0.1, "high": value + 0.1, "over_samples": value + 0.01, "worst_tenth": 0.125,
            "spread": 0.234, "hurt_against_local": 0.25, "hurt_against_fedavg": 0.125}  # fmt: skip


SENT = {"name": "model", "part": "all", "shape": [75], "bytes": 300, "statistics": 12, "first_round_only": False}
SHARED = {
    "up": [SENT, {**SENT, "name": "mean", "part": None, "shape": [2, 6], "statistics": 0, "first_round_only": True}],
    "down": [SENT], "besides": {"number_of_rows": True, "mean_loss": True, "held_out_accuracy": False},
}  # fmt: skip


def make_record(**more):
    on = {"data": "photos", "role": "test", "over": "clients"}
    values = {"local": 0.6, "fedavg": 0.5, "fedavg_ft": 0.65, "ditto": 0.7, "served": 0.75}
    results = [
        {"name": "accuracy", "model": m, "value": v, "low": v - 0.1, "high": v + 0.1, "n": 250, "on": on}
        for m, v in values.items()
    ]
    sent = {"down": 247_176, "up": 247_000, "lost": 3, "refused": 1, "round": 4}
    nothing = {"down": 0, "up": 0, "lost": 0, "refused": 0, "round": 4}
    return {
        "room": "personalize", "method": "ditto", "floor": "fedavg", "serves": "fedavg", "status": "finished",
        "data": {"clients": {"name": "photos", "fingerprint": "00aa", "rows": 500}},
        "seed": 0, "request": {"number": 5, "newcomers": 2, "gate": True},
        "partition": {"how": "dirichlet:0.3", "differing": 0.54},
        "results": results, "personal": {name: make_summary(value) for name, value in values.items()},
        "gate": {"on": True, "serve": {"ditto": 2, "fedavg": 1, "local": 2}, "shortfall": 0.012, "surely_worse": 0.2},
        "traffic": {"local": nothing, "fedavg": sent, "fedavg_ft": nothing, "ditto": {**sent, "round": 2}},
        "seconds": {"local": 6.5, "fedavg": 2.5, "ditto": 75.0},
        "newcomers": {name: make_summary(0.4) for name in MODELS},
        "shared": {"local": {"up": [], "down": [], "besides": {"held_out_accuracy": True}}, "ditto": SHARED},
        "verdict": {"answer": "helped", "gain": 0.2, "low": 0.1, "high": 0.3, "evidence": "test_labels",
                    "sentence": "Personalising helped."},
    } | more  # fmt: skip


ROUNDS = {"held_out": {"local": [[2, 0.4], [4, 0.5]], "fedavg": [[2, 0.3], [4, 0.2]], "ditto": [[2, 0.6], [4, 0.5]]}}


def written(record=None, figure=None, rounds=ROUNDS):
    drawn = {}
    found = parts(record or make_record(), make_figure() if figure is None else figure, rounds, drawn)
    return dict(zip(SECTIONS, found, strict=True)), drawn


def rows_of(html):
    """The rows of the first table, as lists of text."""
    table = html[html.index("<tbody>") : html.index("</tbody>")]
    cells = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("</tr>") if row.strip("<tbody>"))
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in cells if row]


def test_the_table_of_clients_says_what_the_figure_says():
    figure = make_figure(7)
    rows = {row[0]: row[1:] for row in rows_of(written(figure=figure)[0]["each-client"])}
    assert len(rows) == 7
    for place, client in enumerate(figure["clients"]):
        values = [f"{100 * client['accuracy'][name]:.1f} %" for name in ("fedavg", "local", "fedavg_ft", "ditto")]
        rest = [f"{client['rows']}", "50", client["serves"], f"client-{place + 1:04d}"]
        assert rows[client["name"]] == [*values, *rest]


def test_dots_stand_where_the_figure_says_and_a_ring_around_what_is_served():
    figure = make_figure(6)
    every = sorted(figure["clients"], key=lambda client: client["accuracy"]["served"])
    traces = {
        trace["name"]: trace for trace in written(figure=figure)[1]["client-dots"]["only"]["data"] if "name" in trace
    }
    for name, model in (
        ("general model (fedavg)", "fedavg"),
        ("local model", "local"),
        ("personal model (ditto)", "ditto"),
    ):
        assert traces[name]["y"] == pytest.approx([100 * client["accuracy"][model] for client in every])
        assert [round(x) for x in traces[name]["x"]] == list(range(6))
    ring = traces["the one that it serves"]
    places = sorted(zip(ring["x"], ring["y"], strict=True))
    assert [y for _, y in places] == pytest.approx([100 * client["accuracy"]["served"] for client in every])
    assert "serves: " in ring["text"][0]


def test_the_table_over_clients_says_what_the_record_says():
    record = make_record()
    rows = rows_of(written(record)[0]["over-clients"])
    assert [row[0].split()[0] for row in rows] == ["fedavg", "local", "fedavg_ft", "ditto", "served"]
    assert rows[3][1:] == ["70.0 % 60.0 to 80.0", "71.0 %", "12.5 %", "23.4", "25.0 %", "12.5 %"]
    assert (rows[0][6], rows[1][5]) == ("–", "–")  # nobody is hurt against himself


def test_the_gate_is_told_in_words():
    said = gate_sentence(make_record(), "ditto")
    assert said.startswith("Of 5 clients 2 serve the personal model (ditto), 1 the general model (fedavg), 2 the local")
    assert "1.2 points below the best" in said and "20.0 % of the clients" in said
    assert "There was no gate: all 5" in gate_sentence(make_record(gate={"on": False, "serve": {"ditto": 5}}), "ditto")
    assert gate_sentence({}, "ditto") == gate_sentence({"gate": {"serve": {"a": "many"}}}, "ditto") == ""


def test_cells_hold_the_numbers_of_rows():
    figure = make_figure(4, 3)
    html, drawn = written(figure=figure)
    trace = drawn["client-cells"]["only"]["data"][0]
    counts = [[round(z**2) for z in row] for row in trace["z"]]
    assert counts == [[client["classes"][code] for client in figure["clients"]] for code in range(3)]
    first = figure["clients"][0]
    assert (
        trace["hovertext"][1][0] == f"<b>person 0</b><br>class class 1: {first['classes'][1]} of {first['rows']} rows"
    )
    assert "Dealt out by dirichlet:0.3." in html["partition"] and "0.54" in html["partition"]


def test_the_round_that_was_kept_has_a_large_dot():
    traces = written()[1]["round-lines"]["only"]["data"]
    kept = {t["name"]: [x for x, size in zip(t["x"], t["marker"]["size"], strict=True) if size > 5] for t in traces}
    assert kept == {"general model (fedavg)": [4], "local model": [4], "personal model (ditto)": [2]}
    one_look = {"held_out": {"local": [[1, 0.5]]}}
    assert written(rounds=one_look)[0]["rounds"] == ""


def test_newcomers_and_traffic():
    html, _ = written()
    rows = rows_of(html["newcomers"])
    assert [row[0] for row in rows] == ["person 101", "person 102", "mean"]
    assert rows[0][3] == f"{100 * make_client(101)['accuracy']['fedavg']:.1f} %" and rows[2][3].startswith("40.0 %")
    sent = {row[0].split()[0]: row[1:] for row in rows_of(html["traffic"])}
    assert sent["ditto"] == ["247 kB", "247 kB", "3", "1", "2", "1.2 min"]
    assert sent["local"][:2] == ["0 B", "0 B"]
    assert sent["fedavg_ft"] == ["–", "–", "–", "–", "4", "–"]  # its rounds are those of fedavg


def test_what_leaves_a_client_and_what_noise_hides():
    told = {row[0].split()[0]: row[1:] for row in rows_of(written()[0]["shared"])}
    assert told["local"] == ["nothing", "nothing", "accuracy on held-out rows"]
    model = "the whole model: 75 numbers, 12 of them statistics, 300 B"
    assert told["ditto"] == [f"{model}mean: 12 numbers, 300 B (first round only)", model,
                             "number of rows, mean loss of a round"]  # fmt: skip
    spent = {"hides": "client", "delta": 1e-6, "epsilon": 7.891, "spent": []}
    html = written(make_record(privacy={"ditto": spent, "local": {**spent, "epsilon": None}}))[0]["shared"]
    assert [row[-1] for row in rows_of(html)] == ["unbounded", "7.89"] and "whether a client took part" in html
    assert "δ = 1e-06" in html and "Noise" not in written()[0]["shared"]
    for wrong in ("x", {"ditto": 3}, {"ditto": {"up": 3, "besides": [1]}}, {HOSTILE: {"up": [3, {"name": HOSTILE}]}}):
        assert HOSTILE not in written(make_record(shared=wrong, privacy=wrong))[0]["shared"]


@pytest.mark.parametrize(("clients", "classes"), [(2, 2), (5, 100), (200, 10), (200, 100), (MOST_COLUMNS + 1, 2)])
def test_few_and_many_clients_and_classes(clients, classes):
    html, drawn = written(figure=make_figure(clients, classes))
    trace = drawn["client-cells"]["only"]["data"][0]
    assert (len(trace["y"]), len(trace["x"])) == (classes, min(clients, MOST_CELLS))
    assert (f"The {MOST_CELLS} first of {clients} clients are shown." in html["partition"]) == (clients > MOST_CELLS)
    assert len(rows_of(html["each-client"])) == min(clients, MOST_COLUMNS)
    assert ("worst served of" in html["each-client"]) == (clients > MOST_COLUMNS)


def test_what_is_absent_has_no_section():
    assert set(parts({}, {}, {}, drawn := {})) == {""} and drawn == {}
    assert set(parts({"method": "dann", "results": []}, {}, {}, drawn)) == {""}
    html, _ = written(make_record(personal=None, traffic=None, shared=None), figure={})
    assert [name for name, one in html.items() if one] == ["rounds"]
    lone = {**make_figure(), "newcomers": []}
    assert written(figure=lone)[0]["newcomers"] == ""


BAD = [None, 3, "text", [], {}, [None, 1, "x", []], {"a": 1}, float("nan"), 1e400, -5, True, {"ditto": {"mean": "x"}}]


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_damaged_parts_do_not_stop_the_page(bad):
    for key in ("personal", "gate", "traffic", "newcomers", "partition", "seconds"):
        written(make_record(**{key: bad}))
    for key in ("clients", "newcomers", "classes", "personal"):
        written(figure={**make_figure(), key: bad})
    for key in ("name", "rows", "tested", "classes", "serves", "accuracy"):
        _, drawn = written(figure={**make_figure(), "clients": [make_client(0), {**make_client(1), key: bad}]})
        json.dumps(drawn, allow_nan=False)
    for rounds in ({"held_out": bad}, {"held_out": {"local": bad, "ditto": [[1, bad], [2, 0.5], [3, 0.5]]}}):
        json.dumps(written(rounds=rounds)[1], allow_nan=False)


def test_hostile_names_stay_text(tmp_path):
    figure = make_figure(3)
    figure |= {"classes": [HOSTILE, "b", "c"], "personal": HOSTILE}
    for client in (*figure["clients"], *figure["newcomers"]):
        client |= {"name": HOSTILE, "serves": HOSTILE, "accuracy": {**client["accuracy"], HOSTILE: 0.5}}
    record = make_record(
        personal={HOSTILE: make_summary(0.5)}, traffic={HOSTILE: {"down": 1, "round": 4}}, seconds={HOSTILE: 1.0},
        partition={"how": HOSTILE, "differing": 0.5}, gate={"on": True, "serve": {HOSTILE: 3}},
        newcomers={HOSTILE: make_summary(0.5)}, shared={HOSTILE: {**SHARED, "up": [{**SENT, "part": HOSTILE}]}},
    )  # fmt: skip
    run = RunFolder.create(tmp_path / "run", "ditto")
    run.write(record)
    write_json(run.figures / "clients.json", figure)
    write_json(run.figures / "rounds.json", {"held_out": {HOSTILE: [[1, 0.1], [4, 0.2]]}})
    reader = Reader(write_report(run).read_text())
    assert [a["id"] for tag, a in reader.tags if tag == "section" and a.get("id") in SECTIONS] == SECTIONS
    assert not {tag for tag, _ in reader.tags} & {"img", "iframe"} and len(reader.scripts) == 3
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    charts = json.loads(reader.scripts[0])
    said = json.dumps([charts[name] for name in ("client-dots", "client-cells", "round-lines")])
    assert "<img" not in said and "</script" not in said
    assert HOSTILE in reader.text


def test_every_section_is_linked_and_every_id_is_its_own():
    page = render(make_record(), [], {"clients": make_figure(), "rounds": ROUNDS})
    reader = Reader(page)
    every = [a["id"] for _, a in reader.tags if "id" in a]
    assert len(every) == len(set(every))
    assert [name for name in SECTIONS if f'href="#{name}"' in page] == SECTIONS
    assert contents(list(written()[0].values())).count("<a ") == len(SECTIONS)
    assert title(make_record()) == "ditto: photos"


def test_general_comes_first_and_what_is_served_last():
    record = make_record()
    order = ["fedavg", "local", "fedavg_ft", "ditto", "served"]
    assert [result["model"] for result in headline(record)] == order
    lines = summary_lines(record)
    assert lines[0] == "mean accuracy of the clients on photos, 250 rows (95 % interval)"
    assert [line.split()[0] for line in lines[1:6]] == order
    page = render(record, [], {})
    big = page[page.index('<ul class="figures">') : page.index("</ul>", page.index('<ul class="figures">'))]
    assert re.findall(r'class="name">(\w+)', big) == ["fedavg", "local", "served"]
    assert "one model for all" in big and "each client alone" in big and "what each client serves" in big
    assert "An interval covers the choice of clients" in page


def test_candidates_are_said_to_be_compared_on_held_out_rows():
    compared = {"chosen": "ditto", "candidates": {"ditto": {"name": "accuracy", "value": 0.9}}}
    page = render(make_record(compared=compared), [], {})
    assert "of its held-out rows each client" in page and "cross-validation" not in page


def test_rounds_are_no_epochs_and_what_is_held_out_is_no_loss():
    log = [
        {"model": "ditto", "stage": "rounds", "epoch": k, "losses": {"label": 1 / k, "held_out": 0.5}} for k in (1, 2)
    ]
    html = losses(log, drawn := {})
    figure = drawn["loss-0"]["only"]
    assert [trace["name"] for trace in figure["data"]] == ["label"]
    assert figure["layout"]["xaxis"]["title"]["text"] == "round" and "in a round" in html


def make_run(path, **more):
    run = RunFolder.create(path, "ditto")
    run.write(make_record(**more))
    return run


def test_a_comparison_is_of_what_is_served(tmp_path):
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", method="fedrep", seconds={"fedavg": 2.5, "fedrep": 1.0})]
    comparison = compare(runs)
    served = [row for row in comparison.rows if not row.is_floor]
    assert [(row.model, row.value, row.seconds) for row in served] == [
        ("served", 0.75, (84.0,)),
        ("served", 0.75, (3.5,)),
    ]
    assert served[1].cells()["method"] == "served (fedrep)" and "mean over clients" in served[1].cells()["on"]
    floor = [row for row in comparison.rows if row.is_floor]
    assert [(row.model, len(row.runs), row.value) for row in floor] == [("fedavg", 2, 0.5)]
    assert "it covers the choice of clients" in render_comparison(comparison)
    assert (
        comparison.standing.answer == "cannot_tell" and "choice of clients may explain" in comparison.standing.sentence
    )


@pytest.mark.parametrize("change", [{"seed": 1}, {"partition": {"how": "even"}}, {"request": {"number": 9}}])
def test_runs_with_other_clients_are_not_ranked(tmp_path, change):
    comparison = compare([make_run(tmp_path / "a"), make_run(tmp_path / "b", **change)])
    assert comparison.standing.answer == "not_comparable" and "their clients differ" in comparison.standing.sentence


def test_a_client_is_found_by_its_name_where_only_one_has_it():
    clients = read_clients({"clients": [{"name": "anna"}, {"name": "ben"}, {"name": "ben"}, {"name": "client-0001"}]})
    asked = ("anna", "ben", "client-0001", "fedavg", None)
    assert [file_of(clients, one) for one in asked] == ["client-0001", "ben", "client-0001", "fedavg", None]

"""Relations: closed forms, invariants, what chance gives, and lists that people write."""

import csv
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from juyi.adapt.relations import Relational
from juyi.adapt.relations import matching as m
from juyi.adapt.relations.chance import lucky, p_value, rewired, shuffled
from juyi.adapt.relations.roles import settle_roles
from juyi.adapt.relations.symmetry import alike
from juyi.cli.app import main
from juyi.data.relations import as_relations, load_relations, load_roles
from juyi.errors import DataError, JuyiError, SettingError

SOLVERS = ("gromov_wasserstein", "quadratic_assignment")


def graph(n=14, seed=0, density=0.3):
    rng = np.random.default_rng(seed)
    return (rng.random((n, n)) < density) * rng.exponential(size=(n, n))


def blocks(sizes=(6, 10, 14), seed=0):
    """Three roles with different ways to stand to each other, directed and weighted."""
    rng = np.random.default_rng(seed)
    mean = np.array([[0.1, 5.0, 0.1], [0.1, 1.0, 4.0], [2.0, 0.1, 0.1]])
    y = np.repeat(np.arange(3), sizes)
    return rng.poisson(mean[y][:, y]).astype(float), np.array(["a", "b", "c"])[y]


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_permuted_graph_is_matched_back(solver):
    a = graph()
    order = np.random.default_rng(1).permutation(len(a))
    roles = np.array(["x", "y"])[np.arange(len(a)) % 2]
    model = Relational(solver=solver, draws=0, settle=False).fit(a, roles, target=a[np.ix_(order, order)])
    assert model.discrepancy_ == pytest.approx(0, abs=1e-9)
    assert model.match_.tolist() == order.tolist()
    assert model.score(None, roles[order]) == 1.0


def test_isometric_clouds_are_matched():
    x = np.random.default_rng(0).normal(size=(15, 3))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    order = np.random.default_rng(2).permutation(15)
    z = (x @ turn + 7)[order]
    far, near = (np.linalg.norm(one[:, None] - one, axis=2) for one in (x, z))
    model = Relational(relation="weight", draws=0, settle=False).fit(far, ["u"] * 7 + ["v"] * 8, target=near)
    assert model.match_.tolist() == order.tolist()


@pytest.mark.parametrize("solver", SOLVERS)
def test_permuting_items_permutes_the_answer(solver):
    (a, roles), (b, _) = blocks(seed=0), blocks((8, 9, 11), seed=1)
    order = np.random.default_rng(3).permutation(len(b))
    one = Relational(solver=solver, draws=0).fit(a, roles, target=b)
    other = Relational(solver=solver, draws=0).fit(a, roles, target=b[np.ix_(order, order)])
    assert np.abs(other.probabilities_ - one.probabilities_[order]).max() < 1e-2


def test_sizes_may_differ_and_roles_arrive():
    (a, roles), (b, truth) = blocks(seed=0), blocks((9, 7, 20), seed=1)
    for alone in (0.0, 0.3):
        model = Relational(draws=0, alone=alone).fit(a, roles, target=b)
        assert model.score(b, truth) > 0.95
        assert 1 / (1 + alone) - alone / (1 + alone) - 1e-9 <= model.plan_.sum() <= 1 / (1 + alone) + 1e-9
        assert np.allclose(model.probabilities_.sum(1), 1)


def test_discrepancy_and_gains_are_their_sums():
    rng = np.random.default_rng(0)
    a, b, plan = rng.normal(size=(4, 4)), rng.normal(size=(5, 5)), rng.random((4, 5))
    slow = sum(
        (a[i, k] - b[j, h]) ** 2 * plan[i, j] * plan[k, h]
        for i in range(4) for j in range(5) for k in range(4) for h in range(5)
    )  # fmt: skip
    apart = sum(
        (a[i, k] ** 2 + b[j, h] ** 2) * plan[i, j] * plan[k, h]
        for i in range(4) for j in range(5) for k in range(4) for h in range(5)
    )  # fmt: skip
    assert m.discrepancy(a, b, plan) == pytest.approx(slow / apart)
    b, gains = b[:4, :4], m.swap_gains(a, b[:4, :4])
    for i in range(4):
        for j in range(4):
            order = np.arange(4)
            order[[i, j]] = order[[j, i]]
            assert gains[i, j] == pytest.approx((a * b[np.ix_(order, order)]).sum() - (a * b).sum())


def test_strengths_count_whatever_their_unit():
    a = graph()
    for form in ("weight", "logarithm", "binary"):
        assert np.allclose(m.scaled(a, form), m.scaled(1000 * a, form))
        assert (m.scaled(a, form) ** 2).mean() == pytest.approx(1)


def test_known_roles_of_the_target_are_kept_and_help():
    a = np.zeros((4, 4))
    a[0, 1] = a[2, 3] = 1.0  # two pairs alike, so roles p, q cannot be told from r, s
    names = ["p", "q", "r", "s"]
    model = Relational(draws=0, settle=False).fit(a, names, target=a)
    assert np.allclose(model.probabilities_.max(1), 0.5)
    assert any("may have one role as well as another" in one for one in model.remarks_)
    known = as_relations(a, ["r", None, None, None], name="here")
    model = Relational(draws=0, settle=False).fit(a, names, target=known)
    assert model.roles_.tolist() == ["r", "s", "p", "q"]


def test_colours_part_what_no_symmetry_exchanges():
    path = np.eye(5, k=1) + np.eye(5, k=-1)
    assert alike(path).tolist() == [0, 1, 2, 1, 0]
    assert alike(np.eye(5, k=1)).tolist() == [0, 1, 2, 3, 4]
    assert alike(np.ones((4, 4))).tolist() == [0, 0, 0, 0]


def test_relations_laid_anew_keep_what_they_promise():
    a = np.round(10 * graph(20, 3)) + np.diag(np.arange(20) % 3)
    rng = np.random.default_rng(0)
    for lay in (shuffled, rewired):
        found = lay(a, rng)
        assert sorted(found.ravel()) == sorted(a.ravel())
        assert sorted(found.diagonal()) == sorted(a.diagonal())
        assert not np.array_equal(found, a)
    assert np.array_equal((found != 0).sum(0), (a != 0).sum(0))
    assert np.array_equal((found != 0).sum(1), (a != 0).sum(1))
    assert np.allclose(found.sum(1), a.sum(1))


def test_the_test_rejects_what_matches_and_nothing_else():
    (a, roles), (b, _) = blocks(seed=0), blocks(seed=1)
    model = Relational(draws=19).fit(a, roles, target=b)
    assert model.p_values_ == {"shuffled": 0.05, "rewired": 0.05} and not any("fits" in r for r in model.remarks_)
    star = np.zeros((6, 6))
    star[0, 1:] = 1.0
    degrees = Relational(draws=19).fit(star, ["leads"] + ["follows"] * 5, target=star)
    assert degrees.p_values_ == {"shuffled": 0.05, "rewired": 1.0}
    assert any("no more than degrees" in one for one in degrees.remarks_)


@pytest.mark.parametrize("lay", [shuffled, rewired])
def test_p_values_are_even_where_chance_made_the_target(lay):
    a, found = m.scaled(graph(6, 5, 0.5), "weight"), []
    base = graph(6, 6, 0.5)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        target = lay(base, rng)

        def apart(weights):
            b = m.scaled(weights, "weight")
            return m.gromov_wasserstein(a, b, np.zeros((6, 6))).discrepancy

        found.append(p_value(apart(target), np.array([apart(lay(target, rng)) for _ in range(9)])))
    shares = [np.mean(np.array(found) <= level + 1e-9) for level in (0.1, 0.5, 0.9)]
    assert shares[0] < 0.1 + 4 * np.sqrt(0.1 * 0.9 / 40) and abs(shares[1] - 0.5) < 0.32 and shares[2] > 0.7


def test_luck_is_told_from_accuracy():
    y = np.array(["a", "b"] * 20)
    rng = np.random.default_rng(0)
    assert lucky(y, y, rng, 999) == 0.001
    assert lucky(np.full(40, "a"), y, rng, 99) == 1.0


def test_what_has_not_come_to_rest_is_said(monkeypatch):
    (a, roles), (b, _) = blocks(seed=0), blocks((5, 9, 17), seed=1)
    monkeypatch.setattr(m, "STEPS", 1)
    model = Relational(draws=0).fit(a, roles, target=b)
    assert not model.settled_ and model.residual_ > 1e-4
    assert any("not come to rest" in one and f"{model.residual_:.2g}" in one for one in model.remarks_)


def test_settled_roles_are_a_fixed_point():
    a, roles = blocks(seed=0)
    ones = (roles[:, None] == np.array(["a", "b", "c"])).astype(float)
    b, truth = blocks((8, 9, 11), seed=2)
    found, moved = settle_roles(m.scaled(a, "weight"), ones, m.scaled(b, "weight"), np.full((28, 3), 1 / 3) + 0.2 * (
        truth[:, None] == np.array(["a", "b", "c"])), np.zeros((28, 3)), 10.0)  # fmt: skip
    assert moved <= 1e-4 and (np.array(["a", "b", "c"])[found.argmax(1)] == truth).mean() > 0.9


@pytest.mark.parametrize(
    ("weights", "roles", "target", "word"),
    [
        (np.ones((2, 3)), ["a", "b"], np.ones((2, 2)), "square"),
        (np.ones((2, 2)), ["a", "b"], None, "target"),
        (np.ones((2, 2)), [None, None], np.ones((2, 2)), "role"),
        (np.zeros((2, 2)), ["a", "b"], np.ones((2, 2)), "no item stands"),
        (np.array([[0, np.nan], [0, 0]]), ["a", "b"], np.ones((2, 2)), "finite"),
        (np.ones((1, 1)), ["a"], np.ones((2, 2)), "two at least"),
        (np.ones((2, 2)), ["a", "b", "c"], np.ones((2, 2)), "2"),
        ([["a", "b"], ["c", "d"]], ["a", "b"], np.ones((2, 2)), "numbers"),
        (np.ones((2, 2)), ["a", "b"], as_relations(np.ones((2, 2)), ["z", None], name="here"), "no source item"),
    ],
)
def test_wrong_arrays_are_refused_in_one_line(weights, roles, target, word):
    with pytest.raises(DataError, match=word) as error:
        Relational(draws=0).fit(weights, roles, target=target)
    assert "\n" not in str(error.value)
    with pytest.raises(SettingError):
        Relational(solver="guess").fit(np.ones((2, 2)), ["a", "b"], target=np.ones((2, 2)))


CELLS = st.sampled_from(["a", "b", "c", "d", "", " a ", "ü", "1", "-1.5", "nan", "1e999", "2", '"', "0"])
LINES = st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=7)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=LINES, header=st.sampled_from(["from,to,weight", "from,to", "a,b", "from,to,to", ""]), roles=LINES)
def test_lists_that_people_write_give_roles_or_one_line(tmp_path, edges, header, roles):
    def write(name, head, rows):
        text = io.StringIO()
        csv.writer(text).writerows(row[: head.count(",") + 1] for row in rows)
        (tmp_path / name).write_text(f"{head}\n{text.getvalue()}", encoding="utf-8")
        return tmp_path / name

    places = write("edges.csv", header, edges), write("roles.csv", "name,label", roles)
    try:
        found = load_relations(*places)
        model = Relational(draws=0).fit(found, target=load_relations(places[0]))
    except JuyiError as error:
        assert "\n" not in str(error) and str(tmp_path) in str(error)
        return
    assert np.isfinite(model.probabilities_).all() and len(model.roles_) >= 2
    assert np.isfinite([model.discrepancy_, model.residual_]).all()


def test_lines_of_a_list_add_up(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("weight,from,to\n2,b,a\n,b,a\n5,c,c\n0,d,a\n")
    found = load_relations(path)
    assert found.items == ("a", "b", "c", "d") and found.weights[1, 0] == 3 and found.weights[2, 2] == 5
    assert not found.weights[3].any() and len(found.notes) == 2
    path.write_text("name,label\na,x\na,y\n")
    with pytest.raises(DataError, match="line 3: a is x"):
        load_roles(path)


def test_the_command_writes_roles_and_a_page(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "school.csv").write_text("from,to\n" + "".join(f"teacher,{name}\n" for name in "ABC"))
    (tmp_path / "office.csv").write_text("from,to,weight\n" + "".join(f"boss,{name},2\n" for name in "vwxyz"))
    (tmp_path / "roles.csv").write_text("name,label\nteacher,leads\nA,follows\nB,follows\nC,follows\n")
    (tmp_path / "test.csv").write_text("name,label\nboss,leads\nv,follows\n")
    asked = ["adapt", "school.csv", "office.csv", "--method", "relational", "--roles", "roles.csv", "--draws", "3"]
    assert main([*asked, "--test", "test.csv", "--out", "out"]) == 0
    said = capsys.readouterr().out
    assert "accuracy on 2 items: 100.0%" in said
    with (tmp_path / "out" / "predictions.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["boss"]["relational"] == "leads" and rows["boss"]["counterpart"] == "teacher"
    assert {row["relational"] for name, row in rows.items() if name != "boss"} == {"follows"}
    assert "Who stands how to whom" in (tmp_path / "out" / "report.html").read_text()
    assert main([*asked, "--out", "out"]) == 2 and "--overwrite" in capsys.readouterr().err
    assert main(asked[:5]) == 2 and "--roles" in capsys.readouterr().err
    assert main([*asked, "--out", "new", "--roles", "none.csv"]) == 2 and not (tmp_path / "new").exists()

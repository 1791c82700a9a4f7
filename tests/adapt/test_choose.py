"""Choosing without labels: who has collapsed is out, the oracle is marked, and nothing depends on the order."""

import numpy as np
import pytest

from juyi.adapt.choose import Candidate, choose, oracle_choice
from juyi.errors import DataError

CLASSES = 3
LABEL = np.arange(90) % CLASSES


def says(answer):
    return 5.0 * np.eye(CLASSES)[answer]


def answers(share_right, seed):
    random = np.random.default_rng(seed)
    truth = np.arange(300) % CLASSES
    return np.where(random.random(300) < share_right, truth, (truth + random.integers(1, CLASSES, 300)) % CLASSES)


def candidate(target, source=None):
    return Candidate(says(LABEL) if source is None else source, LABEL, target)


@pytest.fixture
def candidates():
    found = {"source_only": candidate(says(answers(0.6, 0)))}
    found |= {f"m{k}": candidate(says(answers(right, k + 1))) for k, right in enumerate((0.9, 0.93, 0.96))}
    return found | {"collapsed": candidate(says(np.zeros(300, int)))}


def test_the_collapsed_is_out_however_sure_it_is(candidates):
    choice = choose(candidates)
    assert set(choice.out) == {"collapsed"} and "misses class" in choice.out["collapsed"]
    assert choice.name == choice.serves == "m2" and choice.evidence["m2"].answer == "helped"
    assert choice.ranking[-1] == "source_only" and not choice.oracle


def test_the_order_of_the_candidates_changes_nothing(candidates):
    backwards = choose(dict(reversed(candidates.items())))
    assert backwards.ranking == choose(candidates).ranking and backwards.out == choose(candidates).out


def test_equal_answers_are_told_apart_by_infomax():
    sure, unsure = says(answers(0.9, 1)), says(answers(0.9, 1)) / 5
    choice = choose({"source_only": candidate(unsure), "unsure": candidate(unsure), "sure": candidate(sure)})
    assert choice.ranking[0] == "sure" and choice.agreement["sure"] == choice.agreement["unsure"]


def test_a_candidate_that_forgot_the_source_is_out(candidates):
    candidates["forgot"] = candidate(says(answers(0.97, 9)), source=says((LABEL + 1) % CLASSES))
    assert "held-out source" in choose(candidates).out["forgot"]


def test_where_all_are_out_source_only_serves(candidates):
    left = {name: candidates[name] for name in ("source_only", "collapsed")}
    choice = choose(left)
    assert (choice.name, choice.serves, choice.ranking) == ("source_only", "source_only", ("source_only",))
    assert choice.judged == "collapsed" and choice.as_json()["evidence"]["collapsed"]["flags"]


def test_without_a_jury_source_only_serves(candidates):
    choice = choose({name: candidates[name] for name in ("source_only", "m2")})
    assert choice.serves == "source_only" and choice.evidence["m2"].answer == "cannot_tell"


def test_moments_of_one_training_can_be_chosen_among(candidates):
    moments = {f"mcc/{k}": candidates[f"m{k}"] for k in range(3)}
    assert choose({"source_only": candidates["source_only"], **moments}).name == "mcc/2"


def test_the_oracle_is_marked():
    assert oracle_choice({"a": 0.1, "b": 0.9}).name == "b"
    assert oracle_choice({"a": 0.1}).oracle and oracle_choice({"a": 0.1}).as_json()["oracle"]


def test_what_cannot_be_compared_is_refused(candidates):
    with pytest.raises(DataError, match="lack source_only"):
        choose({"m0": candidates["m0"]})
    with pytest.raises(DataError, match="m0: has scores of shape"):
        choose({**candidates, "m0": candidate(says(answers(0.5, 0))[:9])})
    with pytest.raises(DataError, match="m0: needs held-out source rows"):
        choose({**candidates, "m0": Candidate(np.zeros((0, 3)), np.zeros(0, int), says(answers(0.5, 0)))})

"""Evidence without labels: the jury, red flags, and shares of the classes."""

import numpy as np
import pytest

from juyi.errors import DataError
from juyi.measure import ask_jury, most_right, red_flags, share_shift, verdict_without_labels, weigh_evidence
from juyi.measure.jury import coherence

CLASSES = 4


def says(answer, sure=5.0):
    return sure * np.eye(CLASSES)[answer]


def wrong_on(truth, share, seed):
    """Answers that are right but for a random share of the rows."""
    random = np.random.default_rng(seed)
    answer = truth.copy()
    rows = random.random(len(truth)) < share
    answer[rows] = (answer[rows] + random.integers(1, CLASSES, rows.sum())) % CLASSES
    return answer


@pytest.fixture
def truth():
    return np.random.default_rng(0).integers(CLASSES, size=800)


def test_a_jury_that_is_always_right_tells_the_gain_exactly(truth):
    method, floor = wrong_on(truth, 0.2, 1), wrong_on(truth, 0.4, 2)
    found = ask_jury(says(method), says(floor), [says(truth)])
    assert found.value == pytest.approx(np.mean(method == truth) - np.mean(floor == truth), abs=1e-12)
    assert found.low < found.value < found.high


def test_a_jury_changes_sides_when_the_two_change_places(truth):
    method, floor = says(wrong_on(truth, 0.2, 1)), says(wrong_on(truth, 0.4, 2))
    jurors = [says(wrong_on(truth, 0.3, seed)) for seed in (3, 4, 5)]
    assert ask_jury(method, floor, jurors).value == -ask_jury(floor, method, jurors).value


def test_jurors_with_independent_mistakes_find_the_better_one(truth):
    method, floor = says(wrong_on(truth, 0.2, 1)), says(wrong_on(truth, 0.35, 2))
    jurors = [says(wrong_on(truth, 0.1, seed)) for seed in range(3, 8)]
    found = weigh_evidence((says(truth), method), (says(truth), floor), truth, [says(truth), *jurors[:1]])
    assert ask_jury(method, floor, jurors).low > 0
    assert found.answer == "helped" and found.coherence == pytest.approx(coherence([says(truth), jurors[0]]))


def test_jurors_that_contradict_one_another_are_not_heard(truth):
    method, floor = says(wrong_on(truth, 0.1, 1)), says(wrong_on(truth, 0.5, 2))
    random = np.random.default_rng(0)
    jurors = [says(random.integers(CLASSES, size=len(truth))) for _ in range(3)]
    assert coherence(jurors) == pytest.approx(1 / CLASSES, abs=0.05)
    assert weigh_evidence((says(truth), method), (says(truth), floor), truth, jurors).answer == "cannot_tell"


def test_where_the_source_itself_is_not_known_nothing_is_told(truth):
    method, floor, source = (says(wrong_on(truth, share, seed)) for share, seed in ((0.1, 1), (0.4, 2), (0.3, 3)))
    jurors = [says(truth), says(truth)]
    assert weigh_evidence((source, method), (source, floor), truth, jurors).answer == "cannot_tell"
    assert weigh_evidence((says(truth), method), (says(truth), floor), truth, jurors).answer == "helped"


def test_nearly_the_same_answers_are_no_difference_whatever_any_jury_says(truth):
    floor = wrong_on(truth, 0.3, 1)
    method = floor.copy()
    method[:16] = truth[:16]  # 2 %
    found = weigh_evidence((says(truth), says(method)), (says(truth), says(floor)), truth, [says(truth), says(truth)])
    assert found.answer == "no_difference" and found.disagreement <= 0.02


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda source, target: (source, np.full_like(target, np.nan)), "not finite"),
        (lambda source, target: (np.roll(source, 1, 1), target), "of the held-out source"),
        (lambda source, target: (source, says(np.zeros(len(target), int))), "misses class"),
        (lambda source, target: (source, np.where(np.arange(CLASSES) == 2, -9.0, target)), "misses class 2"),
        (lambda source, target: (source, 0.01 * target + [5.0, 0, 0, 0]), "misses class|less various"),
    ],
)
def test_every_way_to_collapse_is_flagged(truth, spoil, words):
    source, target = says(truth), says(wrong_on(truth, 0.3, 1))
    assert red_flags((source, target), (source, target), truth) == []
    with np.errstate(invalid="ignore"):
        flags = red_flags(spoil(source, target), (source, target), truth)
    assert len(flags) >= 1 and __import__("re").search(words, flags[0])


def test_what_source_only_misses_as_well_is_not_held_against_a_method(truth):
    source = says(truth)
    floor = np.where(truth == 2, 1, truth)
    assert red_flags((source, says(floor)), (source, says(floor)), truth) == []
    assert red_flags((source, says(floor)), (source, source), truth) != []


def test_only_other_shares_are_told_from_other_looks(truth):
    random = np.random.default_rng(1)
    scores = says(truth, 3.0) + random.normal(size=(800, CLASSES))
    other = random.choice(CLASSES, size=800, p=[0.7, 0.1, 0.1, 0.1])
    shifted = says(other, 3.0) + random.normal(size=(800, CLASSES))
    found = share_shift(scores, truth, shifted)
    assert found.explains and found.shares == pytest.approx([0.7, 0.1, 0.1, 0.1], abs=0.06)
    assert not share_shift(scores, truth, scores).explains
    assert not share_shift(scores, truth, 0.4 * shifted).explains


def test_a_method_that_pulls_the_shares_back_is_called_hurt(truth):
    """Only the shares differ, source only is right; the method makes the classes even again and so must be wrong."""
    random = np.random.default_rng(1)
    noise = lambda: random.normal(size=(800, CLASSES))  # noqa: E731
    source = says(truth, 4.0) + noise()
    other = random.choice(CLASSES, size=800, p=[0.7, 0.1, 0.1, 0.1])
    target = says(other, 4.0) + noise()
    evened = target - [3.0, 0, 0, 0]
    assert most_right(evened, np.bincount(other) / 800) >= np.mean(evened.argmax(1) == other)
    found = weigh_evidence((source, evened), (source, target), truth)
    assert np.mean(evened.argmax(1) == other) < np.mean(target.argmax(1) == other)
    assert found.answer == "hurt" and "shares of the classes" in found.flags[-1]
    assert found.accuracy_floor.name == "average_thresholded_confidence"


def test_the_largest_accuracy_in_other_shares_is_reached_and_never_passed():
    random = np.random.default_rng(0)
    for _ in range(50):
        truth, answer = random.integers(CLASSES, size=(2, 40))
        shares = np.bincount(truth, minlength=CLASSES) / 40
        assert np.mean(truth == answer) <= most_right(says(answer), shares) + 1e-9
    assert most_right(says(truth), shares) == 1.0


def test_the_sentence_tells_the_evidence(truth):
    method, floor = wrong_on(truth, 0.1, 1), wrong_on(truth, 0.4, 2)
    jurors = [says(truth), says(wrong_on(truth, 0.05, 3))]
    found = weigh_evidence((says(truth), says(method)), (says(truth), says(floor)), truth, jurors)
    verdict = verdict_without_labels(method, floor, "mcc", evidence=found)
    assert verdict["answer"] == "helped" and verdict["evidence"] == "label_free" and verdict["gain"] is None
    assert "the other models" in verdict["sentence"] and "side with mcc" in verdict["sentence"]
    assert "evidence and no proof" in verdict["sentence"]
    lost = {"gain": -0.1, "low": -0.12, "high": -0.08, "n": 300}
    rehearsed = verdict_without_labels(method, floor, "mcc", evidence=found, rehearsal=lost, hint="Ask for labels")
    assert rehearsed["answer"] == "cannot_tell" and "dress rehearsal on 300 rows" in rehearsed["sentence"]
    assert rehearsed["sentence"].endswith("Ask for labels.")


def test_a_jury_needs_a_juror_and_the_same_rows(truth):
    with pytest.raises(DataError, match="one model at least"):
        ask_jury(says(truth), says(truth), [])
    with pytest.raises(DataError, match="same rows"):
        ask_jury(says(truth), says(truth), [says(truth[:9])])

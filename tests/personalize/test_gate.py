"""The gate: chance alone does not part clients, true differences do, and of equals the personal model serves."""

import numpy as np

from juyi.personalize.gate import choose_models


def drawn(random: np.random.Generator, shares: list[list[float]], rows: int) -> list[np.ndarray]:
    """For each client, which of its rows each model tells, each with its own share."""
    return [random.random((len(client), rows)) < np.array(client)[:, None] for client in shares]


def test_where_clients_do_not_differ_all_go_by_all_rows():
    random, right = np.random.default_rng(0), []
    for _ in range(50):
        found = choose_models(drawn(random, [[0.75, 0.85, 0.6]] * 20, 25))
        right.append(np.mean(np.array(found) == 1))
    alone = [
        np.mean([hits.mean(1).argmax() == 1 for hits in drawn(random, [[0.75, 0.85, 0.6]] * 20, 25)]) for _ in range(50)
    ]
    assert np.mean(right) > 0.95 > np.mean(alone) + 0.05  # which going by one's own rows would not reach


def test_where_clients_differ_each_goes_by_its_own_rows():
    random = np.random.default_rng(1)
    shares = [[0.9, 0.5, 0.3]] * 10 + [[0.5, 0.9, 0.3]] * 10
    found = choose_models(drawn(random, shares, 60))
    assert found == [0] * 10 + [1] * 10


def test_of_equal_models_the_first_serves():
    hits = np.array([[True, False, True]] * 3)
    assert choose_models([hits, ~hits]) == [0, 0]


def test_a_single_client_goes_by_its_own_rows():
    assert choose_models([np.array([[True, False, False], [True, True, False]])]) == [1]


def test_two_rows_of_one_client_do_not_outvote_hundreds_of_others():
    random = np.random.default_rng(2)
    many = drawn(random, [[0.7, 0.8]] * 10, 200)
    assert choose_models([*many, np.array([[True, True], [True, False]])]) == [1] * 11


def test_a_small_client_that_is_surely_unlike_the_others_goes_by_its_own_rows():
    """Large clients that agree carry the variance between clients; they outvoted it."""
    random = np.random.default_rng(3)
    many = [random.random((2, rows)) < np.array([[0.7], [0.8]]) for rows in range(50, 400, 18)]
    own = np.arange(20) < np.array([[18], [8]])
    assert choose_models([*many, own]) == [1] * 20 + [0]


def test_clients_with_a_single_row_go_by_all_of_them():
    random, right = np.random.default_rng(4), []
    for _ in range(50):
        right.append(np.mean(np.array(choose_models(drawn(random, [[0.7, 0.9, 0.5]] * 40, 1))) == 1))
    assert np.mean(right) > 0.9

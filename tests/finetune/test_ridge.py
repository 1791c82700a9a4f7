"""Ridge: the closed form against a slow reference, and its sums against the rows themselves."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as Reference

from juyi.data import Domain
from juyi.finetune import METHODS
from juyi.finetune.ridge import sums_of
from juyi.nets import build_network
from juyi.training import Rows

Ridge = METHODS["ridge"]


def rows(n=300, d=7, seed=0):
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, n)
    x = random.normal(size=(n, d)) * np.arange(1, d + 1) + 5.0 + 0.7 * np.eye(3, d)[y] * np.arange(1, d + 1)
    return Domain(x.astype(np.float32), y, classes=("a", "b", "c"), name="here")


def backbone(few):
    return build_network("linear", torch.from_numpy(few.x), 3)  # its features are the inputs


@pytest.mark.parametrize("strength", [0.1, 30.0, 5e3])
def test_it_is_the_ridge_regression_of_standardised_features(strength):
    few = rows()
    net = Ridge(backbone=backbone(few), strength=strength).fit(few).net_
    x = net.features(torch.from_numpy(few.x)).detach().double().numpy()
    standard = (x - x.mean(0)) / x.std(0)
    reference = Reference(alpha=strength).fit(standard, 2.0 * np.eye(3)[few.y] - 1.0)
    found = net(torch.from_numpy(few.x)).detach().numpy()
    np.testing.assert_allclose(found, reference.predict(standard), atol=2e-4)


def test_errors_of_rows_that_were_not_fitted_come_from_the_sums():
    few = rows()
    net = backbone(few)
    away = few.x[:, 0] > 6
    cpu = Rows(few, torch.device("cpu"))
    held, rest = (sums_of(net, cpu, np.flatnonzero(part)) for part in (away, ~away))
    weight, bias = rest.solve([10.0])[0]
    x = net.features(torch.from_numpy(few.x[away])).detach().double()
    wanted = (2.0 * np.eye(3)[few.y[away]] - 1.0 - (x @ weight.T + bias).numpy()) ** 2
    assert held.squared_error(weight, bias) == pytest.approx(wanted.sum(), rel=1e-5)


def test_the_strength_is_that_of_the_least_error_in_folds():
    noise = rows(60, 40)
    noise = Domain(noise.x, np.random.default_rng(1).permutation(noise.y), classes=noise.classes, name="noise")
    few = rows()
    method = Ridge(backbone=backbone(few))

    def chosen(few):
        cpu = Rows(few, torch.device("cpu"))
        folds = [sums_of(backbone(few), cpu, np.arange(k, few.size, 3)) for k in range(3)]
        return method._strength(folds, folds[0] + folds[1] + folds[2])

    assert chosen(noise) > chosen(few)


def test_a_feature_that_does_not_vary_has_no_say():
    few = rows()
    few.x[:, 2] = 4.0
    net = Ridge(backbone=backbone(few)).fit(few).net_
    assert torch.isfinite(net.head.weight).all() and not net.head.weight[:, 2].any()

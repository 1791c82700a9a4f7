"""Some fitted models that answer as one."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from juyi.adapt.heads import probabilities

LEAST = 1e-9
"""The least probability of which a logarithm is taken."""


class Pool:
    """Classifiers whose log-probabilities are averaged, p(y|x) ∝ Π_t p_t(y|x)^{a_t}; of linear ones a linear one.

    Args:
        models: fitted, all of the same classes.
        shares: a, how much each counts; they sum to 1.

    Source: C. Genest and J. V. Zidek, "Combining Probability Distributions", Statistical Science 1986 (the
    logarithmic opinion pool).

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> x = np.array([[-1.0], [1.0]])
        >>> one, two = (LogisticRegression(C=c).fit(x, [0, 1]) for c in (1.0, 100.0))
        >>> both = Pool([one, two], np.array([0.5, 0.5]))
        >>> bool(np.isclose(both.coef_, (one.coef_ + two.coef_) / 2).all()), both.predict(x).tolist()
        (True, [0, 1])
    """

    def __init__(self, models: list[Any], shares: np.ndarray) -> None:
        self.models, self.shares, self.classes_ = models, shares, models[0].classes_
        if all(hasattr(model, "coef_") for model in models):
            self.coef_ = sum(share * model.coef_ for share, model in zip(shares, models, strict=True))
            self.intercept_ = sum(share * model.intercept_ for share, model in zip(shares, models, strict=True))

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """The probabilities of `classes_`, n×K."""
        every = int(self.classes_.max()) + 1
        pooled = sum(
            share * np.log(np.maximum(probabilities(model, x, every)[:, self.classes_], LEAST))
            for share, model in zip(self.shares, self.models, strict=True)
        )
        found: np.ndarray = softmax(pooled, axis=1)
        return found

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The likeliest of `classes_`, n."""
        found: np.ndarray = self.classes_[self.predict_proba(x).argmax(1)]
        return found

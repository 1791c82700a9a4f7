"""Items that share no feature, but stand in similar relations: match them, and carry their roles over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from juyi.adapt.relations.chance import Lay, p_value, rewired, shuffled
from juyi.adapt.relations.matching import Match, assignment, gromov_wasserstein, scaled
from juyi.adapt.relations.roles import TOLERANCE, carried, settle_roles
from juyi.adapt.relations.symmetry import alike, shared_out
from juyi.data.relations import Relations, as_relations
from juyi.errors import DataError
from juyi.training import derive_seed
from juyi.training.hyperparameters import Method, hyperparameter

FORBIDDEN = 10.0
"""What matching two items of different known roles costs, in units of the relations' power."""


LEVEL = 0.05
"""A p-value above it is said to be no better than chance."""


class Relational(ClassifierMixin, Method):  # type: ignore[misc]
    """Teacher to students as boss to staff: match two sides by their relations alone, and carry roles over.

    The items of both sides have no feature in common, nor names.  A plan T is sought under which matched pairs stand
    alike to each other, min Σ_ijkl (A_ik − B_jl)² T_ij T_kl; it carries the source's roles over.  Then a classifier of
    the source, which tells an item's role by how it stands to those of each role, settles them in the target.  A
    permutation test says whether the match means anything: is the target nearer to the source than are graphs of as
    many relations laid at random, and than graphs with its degrees?

    F. Mémoli, "Gromov-Wasserstein Distances and the Metric Approach to Object Matching", 2011; J. T. Vogelstein et al.,
    "Fast Approximate Quadratic Programming for Graph Matching", 2015; Q. Lu and L. Getoor, "Link-based Classification",
    2003.

    Attributes:
        plan_: n×m: which share of source item i goes to target item j.
        match_: m: the source item from which most goes to each target item.
        roles_, probabilities_, classes_: the target's roles, m; the probability of each, m×c; their names, c.
        discrepancy_: by how much matched pairs stand otherwise to each other, 0 to about 1.
        residual_, moved_, settled_: how far the solver is from rest, by how much the last round moved the roles, and
            whether both have come to rest.
        chance_: the discrepancies of targets laid anew, `shuffled` and `rewired`.
        p_values_: how often chance does as well, for each of these.
        remarks_: what gives pause, in sentences.

    Example:
        >>> school = np.zeros((4, 4)); school[0, 1:] = 1  # a teacher, three students
        >>> office = np.zeros((5, 5)); office[3, [0, 1, 2, 4]] = 1  # a boss, who is the fourth of five
        >>> model = Relational(draws=0).fit(school, ["leads", "follows", "follows", "follows"], target=office)
        >>> model.roles_.tolist()
        ['follows', 'follows', 'follows', 'leads', 'follows']
    """

    carries: ClassVar[str | None] = "relations"
    other_columns: ClassVar[bool] = True
    costs: ClassVar[str] = "seconds; grows with the cube of the items"

    solver: str = hyperparameter(
        default="gromov_wasserstein",
        help="gromov_wasserstein (shares of items) or quadratic_assignment (one to one)",
        choices=("gromov_wasserstein", "quadratic_assignment"),
    )
    relation: str = hyperparameter(
        default="logarithm",
        help="how strengths count: weight (as they are), logarithm, or binary (whether there is one)",
        choices=("weight", "logarithm", "binary"),
    )
    alone: float = hyperparameter(
        default=0.0, help="share of each side that may stay without counterpart (gromov_wasserstein)", low=0.0, high=1.0
    )
    settle: bool = hyperparameter(default=True, help="settle roles by how an item stands to those of each role")
    strength: float = hyperparameter(
        default=10.0, help="how freely the classifier that settles roles fits (scikit-learn's C)", low=1e-6, high=1e9
    )
    draws: int = hyperparameter(default=39, help="targets laid anew by chance, for each test", low=0, high=1_000_000)
    random_state: int = hyperparameter(default=0, help="seed of every draw", low=0, high=2**63 - 1)

    def fit(self, X: Any, y: Any = None, *, target: Any = None) -> Relational:
        """Match the target's items to the source's, and carry their roles over.

        Args:
            X: the source: n×n, how strongly i stands to j; or `Relations`, with roles.
            y: n roles; unknown ones None, NaN or masked.
            target: the same of the target, m×m; `Relations` may have roles for some items, which are then used.

        Raises:
            DataError: one side has no relations, or the source no roles.
            SettingError: a hyperparameter is out of its range.
        """
        self.check_hyperparameters()
        source = as_relations(X, y, name="source")
        if target is None:
            raise DataError("target: is missing; relations are carried over from one side to another, so give target=")
        target = as_relations(target, name="target")
        self.classes_ = np.array(sorted({role for role in source.roles if role is not None}), dtype=object)
        if not len(self.classes_):
            raise DataError(f"{source.name}: no item has a role that could be carried over; give y, or roles")
        return self._fit(source, target)

    def _fit(self, source: Relations, target: Relations) -> Relational:
        roles, given = (one_hot(side.roles, self.classes_, side.name) for side in (source, target))
        a, b = scaled(source.weights, self.relation), scaled(target.weights, self.relation)
        cost = FORBIDDEN * np.where(np.asarray(given.any(1)), np.asarray(roles.any(1))[:, None] - roles @ given.T, 0.0)
        match, fixed = self._match(a, b, cost), np.asarray(given.any(1))
        group = alike(b, np.where(fixed, np.arange(1, len(b) + 1), 0))  # a known role tells an item from its like
        start = np.where(fixed[:, None], given, shared_out(carried(match.plan, roles), group))
        shares, moved = start, 0.0
        if self.settle and len(self.classes_) > 1:
            shares, moved = settle_roles(a, roles, b, start, given, self.strength)
        self.target_, self.match_roles_ = target, self.classes_[start.argmax(1)]
        self.plan_, self.match_ = match.plan, match.plan.argmax(0)
        self.discrepancy_, self.residual_, self.moved_ = match.discrepancy, match.residual, moved
        self.settled_ = match.settled and moved <= TOLERANCE
        self.probabilities_, self.roles_ = shares, self.classes_[shares.argmax(1)]
        self.chance_ = {
            lay.__name__: self._by_chance(a, target.weights, cost, lay, number)
            for number, lay in enumerate((shuffled, rewired) if self.draws else ())
        }
        self.p_values_ = {name: p_value(self.discrepancy_, values) for name, values in self.chance_.items()}
        self.remarks_ = tuple(remarks(self, roles, alike(a), group))
        return self

    def _by_chance(self, a: np.ndarray, weights: np.ndarray, cost: np.ndarray, lay: Lay, number: int) -> np.ndarray:
        """The discrepancies of targets laid anew."""
        rng = np.random.default_rng(derive_seed(self.random_state, number))
        laid = (scaled(lay(weights, rng), self.relation) for _ in range(self.draws))
        return np.array([self._match(a, b, cost).discrepancy for b in laid])

    def _match(self, source: np.ndarray, target: np.ndarray, cost: np.ndarray) -> Match:
        if self.solver == "quadratic_assignment":
            return assignment(source, target, self.random_state)
        return gromov_wasserstein(source, target, cost, self.alone)

    def predict(self, X: Any = None) -> np.ndarray:
        """Return the roles of the target's items; `X`, if given, must be that target."""
        self._check_target(X)
        return np.asarray(self.roles_)

    def predict_proba(self, X: Any = None) -> np.ndarray:
        """Return the probability of each role for the target's items, m×c."""
        self._check_target(X)
        return np.asarray(self.probabilities_)

    def score(self, X: Any, y: Any) -> float:
        """Return the accuracy of the roles that were carried over."""
        return float(accuracy_score(y, self.predict(X)))

    def _check_target(self, X: Any) -> None:
        check_is_fitted(self)
        if X is not None and not np.array_equal(as_relations(X, name="X").weights, self.target_.weights):
            raise DataError("X: is not the target that roles were carried over to; fit again with target=X")


def one_hot(roles: tuple[str | None, ...], classes: np.ndarray, name: str) -> np.ndarray:
    """Return n×c, 1 where an item has the role; a role that is no class is refused.

    >>> one_hot(("a", None), np.array(["a", "b"]), "here").tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    strangers = sorted({role for role in roles if role is not None} - set(classes))
    if strangers:
        raise DataError(f"{name}: role {strangers[0]} occurs in no source item; known are {', '.join(classes)}")
    return np.array([[float(role == one) for one in classes] for role in roles])


def remarks(model: Relational, roles: np.ndarray, group_there: np.ndarray, group: np.ndarray) -> Iterator[str]:
    """Say what gives pause: no rest, items that nothing tells apart, a match that is no better than chance."""
    if not model.settled_:
        yield (
            f"the solver has not come to rest: another plan would be better by {model.residual_:.2g} of the relations' "
            f"power, and the last round moved the roles by {model.moved_:.2g}"
        )
    of_one = [np.unique(roles[group_there == g].argmax(1)) for g in np.unique(group_there[roles.any(1)])]
    if several := sum(len(found) > 1 for found in of_one):
        yield f"{several} groups of source items have several roles, though no relation tells their members apart"
    top = np.sort(model.probabilities_, axis=1)
    if len(model.classes_) > 1 and (even := int((top[:, -1] - top[:, -2] < 1e-6).sum())):
        yield f"{even} items of the target may have one role as well as another: their relations do not tell"
    if twins := int((np.bincount(group) > 1)[group].sum()):
        yield f"{twins} items of the target have a double that no relation tells from them, so the choice is chance"
    if (p := model.p_values_.get("shuffled", 0.0)) > LEVEL:
        yield f"relations laid at random fit the source as well (p = {p:.2g}): the match may be chance"
    elif (p := model.p_values_.get("rewired", 0.0)) > LEVEL:
        yield f"any relations with these degrees fit the source as well (p = {p:.2g}): no more than degrees was matched"

"""Forests that scikit-learn has fitted, in memory or in a file of skops, as one table of leaves."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.utils.validation import check_is_fitted

from juyi.errors import DataError

FORESTS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)
TREE = "sklearn.tree._tree.Tree"
BLOCK = 4_096
"""Rows whose leaves are looked up at once."""


def load_forest(path: str | Path) -> Any:
    """Return the forest that a file of skops holds; nothing in the file is run, and other types are refused.

    scikit-learn follows the numbers of a tree's nodes without looking whether they are there, and skops leaves that
    check to who reads the file; so it is made here.

    Raises:
        DataError: there is no such file, it is none of skops's, it holds something else than a fitted forest, or trees
            that lead to nowhere.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: is no file; save a fitted forest with skops.io.dump(forest, {path.name!r})")
    try:
        found = skops.io.load(path, trusted=[TREE])
    except UntrustedTypesFoundException as error:
        types = ", ".join(skops.io.get_untrusted_types(file=path))
        raise DataError(f"{path}: holds types that a forest has not ({types}), and is not read") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        raise DataError(
            f"{path}: is no file of skops that can be read ({type(error).__name__}); save the fitted forest with "
            "skops.io.dump; pickles are not read, since a pickle can run anything"
        ) from error
    forest = check_forest(found, str(path))
    for number, tree in enumerate(forest.estimators_):
        if not leads_somewhere(tree.tree_, forest.n_features_in_):
            raise DataError(f"{path}: tree {number} names nodes or columns that are not there; save the forest anew")
    return forest


def check_forest(forest: Any, name: str) -> Any:
    """Return what is a fitted forest with one output.

    Raises:
        DataError: it is none.
    """
    if not isinstance(forest, FORESTS):
        kinds = ", ".join(kind.__name__ for kind in FORESTS)
        raise DataError(f"{name}: is a {type(forest).__name__}; a fitted forest is needed, one of {kinds}")
    if not getattr(forest, "estimators_", None):
        raise DataError(f"{name}: the forest is not fitted; fit it on the source first")
    check_is_fitted(forest)
    if forest.n_outputs_ != 1:
        raise DataError(f"{name}: the forest tells {forest.n_outputs_} things of a row; fit one a thing")
    return forest


def leads_somewhere(tree: Any, columns: int) -> bool:
    """Whether every node of a tree is a leaf, or asks for a column that there is and leads on to later nodes."""
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    here, nodes = np.arange(len(left)), len(left)
    inner = left != -1
    on = [(side > here) & (side < nodes) for side in (left, right)]
    sound = ~inner | (on[0] & on[1] & (feature >= 0) & (feature < columns))
    return bool(nodes and tree.n_features == columns and sound.all() and np.isfinite(tree.value).all())


class Leaves:
    """The leaves of all trees of a forest, one below the other.

    Args:
        forest: fitted.

    Attributes:
        values: what each node says, shares of the classes or a number, K×k.
    """

    def __init__(self, forest: Any) -> None:
        self.forest = forest
        trees = [tree.tree_ for tree in forest.estimators_]
        self.starts = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
        values = np.concatenate([tree.value[:, 0, :] for tree in trees])
        is_classifier = hasattr(forest, "classes_")
        self.values = values / values.sum(1, keepdims=True) if is_classifier else values

    def of(self, x: np.ndarray) -> np.ndarray:
        """The leaf of each row in each tree, as a row of `values`, n×T."""
        found: np.ndarray = self.forest.apply(x).reshape(len(x), -1) + self.starts
        return found

    def told(self, x: np.ndarray, values: np.ndarray) -> np.ndarray:
        """What the trees say on average, n×k, if their leaves say these values."""
        found = np.empty((len(x), values.shape[1]))
        for start in range(0, len(x), BLOCK):
            found[start : start + BLOCK] = values[self.of(x[start : start + BLOCK])].mean(1)
        return found

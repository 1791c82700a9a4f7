"""DAMA: one space in which rows of a class come together, classes part, and neighbours stay neighbours."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse
from sklearn.neighbors import kneighbors_graph

from juyi.adapt.heterogeneous.base import Heterogeneous, Space, TwoKinds
from juyi.training.hyperparameters import hyperparameter


def laplacian(weights: scipy.sparse.spmatrix) -> scipy.sparse.spmatrix:
    """Return D − W, D the diagonal of the row sums of W.

    >>> laplacian(scipy.sparse.csr_array([[0.0, 2.0], [2.0, 0.0]])).toarray().tolist()
    [[2.0, -2.0], [-2.0, 2.0]]
    """
    return scipy.sparse.diags_array(np.asarray(weights.sum(1)).ravel()) - weights


class DAMA(Heterogeneous):
    """Manifold alignment with labels: linear maps F of both sides into one space.

    With Z the rows of both sides on the diagonal, columns of F are generalised eigenvectors, least eigenvalues first,

        Z (μ L + L_same) Zᵀ f = λ Z L_other Zᵀ f

    where L is the Laplacian of neighbours within a side, L_same that of pairs of rows of the same class (or given
    pairs), L_other that of pairs of different classes, over all labelled rows of both sides.

    C. Wang and S. Mahadevan, "Heterogeneous Domain Adaptation Using Manifold Alignment", IJCAI 2011, theorem 1.

    Example:
        >>> from juyi.data import as_domain
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(90) % 3
        >>> there, here = (3 * np.eye(3)[y] @ rng.normal(size=(3, d)) + rng.normal(size=(90, d)) for d in (5, 8))
        >>> few = [label if row < 9 else None for row, label in enumerate(y)]
        >>> DAMA().fit(there, y, target=as_domain(here, few)).score(here, y) > 0.9
        True
    """

    components: int = hyperparameter(default=20, help="columns of the common space, at most", low=1, high=10_000)
    topology: float = hyperparameter(default=1.0, help="μ, weight of keeping neighbours", low=0.0, high=1e6)
    neighbours: int = hyperparameter(default=10, help="neighbours of a row", low=1, high=1_000)
    ridge: float = hyperparameter(
        default=0.1, help="of both sides of the eigenproblem, in units of their mean diagonal", low=1e-9, high=1e6
    )

    def spaces(self, given: TwoKinds) -> tuple[np.ndarray, Space]:
        """Solve the eigenproblem in the columns of both sides."""
        x, z = given.source, given.target
        z_both = scipy.linalg.block_diag(x, z)
        near = scipy.sparse.block_diag([neighbours(side, self.neighbours) for side in (x, z)], format="csr")
        same, other = class_laplacians(given)
        topology = z_both.T @ (laplacian(near) @ z_both)
        keep = self.topology * topology / max(np.trace(topology), 1e-300) * max(np.trace(same), 1e-300) + same
        keep, part = (c + self.ridge * max(np.trace(c), 1e-12) / len(c) * np.eye(len(c)) for c in (keep, other))
        values, vectors = scipy.linalg.eigh(part, keep)  # 1/λ: its largest are the least λ
        most = min(self.components, len(vectors))
        f = vectors[:, ::-1][:, :most] * np.sqrt(np.maximum(values[::-1][:most], 0))
        return x @ f[: x.shape[1]], (f[x.shape[1] :], np.zeros(most))


def neighbours(x: np.ndarray, count: int) -> scipy.sparse.spmatrix:
    """Return who is among the nearest of whom, either way: n×n, 0 and 1."""
    graph = kneighbors_graph(x, min(count, len(x) - 1)) if len(x) > 1 else scipy.sparse.csr_array((1, 1))
    return graph.maximum(graph.T)


def class_laplacians(given: TwoKinds) -> tuple[np.ndarray, np.ndarray]:
    """Return Z L_same Zᵀ and Z L_other Zᵀ, (d+e)×(d+e), each over its number of pairs.

    Of a class with sum s and count n, pairs within it give 2 (n Σ x xᵀ − s sᵀ), without one matrix of all pairs.  A
    side counts as much as the other, whatever its number of labelled rows; a given pair counts as of one class.
    """
    known = given.labelled
    x, z, wide = given.source, given.target[known], given.source.shape[1] + given.target.shape[1]
    rows = np.zeros((len(x) + len(z), wide))
    rows[: len(x), : x.shape[1]], rows[len(x) :, x.shape[1] :] = x, z
    weight = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(z), 1 / max(len(z), 1))])
    labels = np.concatenate([given.labels, given.target_labels[known]])
    ones = given.one_hot(labels) * weight[:, None]
    mass, sums = ones.sum(0), ones.T @ rows
    square = (rows * weight[:, None]).T @ rows
    same = (rows * (weight * mass[labels])[:, None]).T @ rows - sums.T @ sums
    whole = weight.sum() * square - np.outer(sums.sum(0), sums.sum(0))
    other, same = (whole - same) / max(weight.sum() ** 2 - (mass**2).sum(), 1e-12), same / (mass**2).sum()
    if len(given.pairs):
        apart = np.hstack([given.source[given.pairs[:, 0]], -given.target[given.pairs[:, 1]]])
        same = same + apart.T @ apart / len(apart)
    return same, other

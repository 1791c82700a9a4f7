"""Data that come with the installation: the 1,797 small digits of scikit-learn, and the same on photographs."""

from __future__ import annotations

import numpy as np
from PIL import Image

from juyi.data.domain import Domain
from juyi.data.recipes import blend_with_photographs
from juyi.data.splits import shares

DIGITS_TEST_ROWS = 500


def digits(split: str) -> Domain:
    """Return the hand-written digits of scikit-learn (Alpaydin and Kaynak 1998), grey, 28×28.

    Their 8×8 pixels from 0 to 16 are scaled to 0 to 255 and enlarged by bilinear interpolation.  Every class
    is split by its share: 1,297 digits for training, 500 for testing, always the same.

    Args:
        split: "train" or "test".

    Example:
        >>> digits("train").x.shape, digits("test").x.shape
        ((1297, 1, 28, 28), (500, 1, 28, 28))
    """
    from sklearn import datasets  # here, since it takes a second to load

    bunch = datasets.load_digits()
    rng = np.random.default_rng(0)
    by_class = [np.flatnonzero(bunch.target == code) for code in range(10)]
    counts = shares([len(rows) for rows in by_class], DIGITS_TEST_ROWS)
    test = np.sort(np.concatenate([rng.permutation(rows)[:n] for rows, n in zip(by_class, counts, strict=True)]))
    rows = test if split == "test" else np.setdiff1d(np.arange(len(bunch.target)), test)
    small = np.round(bunch.images[rows] * (255 / 16)).astype(np.uint8)
    large = [np.asarray(Image.fromarray(image).resize((28, 28), Image.Resampling.BILINEAR)) for image in small]
    return Domain(
        np.stack(large)[:, None],
        bunch.target[rows].astype(np.int64),
        classes=tuple("0123456789"),
        name=f"digits@{split}",
        row_names=[str(row) for row in rows],
    )


def digits_m(split: str) -> Domain:
    """Return the same digits on photographs, RGB, 28×28: what MNIST-M is to MNIST, and no network needed.

    The training digits lie on the left halves of scikit-learn's two sample photographs, the test digits on the
    right halves, so that no background of the one is seen in the other.

    Args:
        split: "train" or "test".

    Example:
        >>> digits_m("test").x.shape
        (500, 3, 28, 28)
    """
    from sklearn import datasets

    plain = digits(split)
    photographs = [np.asarray(photograph) for photograph in datasets.load_sample_images().images]
    halves = [p[:, : p.shape[1] // 2] if split == "train" else p[:, p.shape[1] // 2 :] for p in photographs]
    blended = blend_with_photographs(plain.x[:, 0], halves, seed=0 if split == "train" else 1)
    return Domain(
        blended.transpose(0, 3, 1, 2),
        plain.y,
        classes=plain.classes,
        name=f"digits_m@{split}",
        row_names=plain.row_names,
    )

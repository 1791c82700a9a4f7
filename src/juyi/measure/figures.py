"""What a run's figures show, as plain JSON: the run folder alone then suffices to draw them, without data or models."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from juyi.data.splits import subset_rows
from juyi.errors import DataError
from juyi.measure.maps import joint_map

PICTURE_SIDE = 128
"""Pictures are shrunk to at most this many pixels a side: a report is mailed around."""


def maps_figure(
    features: Mapping[str, tuple[np.ndarray, np.ndarray]],
    label_source: np.ndarray,
    prediction_target: Mapping[str, np.ndarray],
    classes: Sequence[str],
    seed: int,
    rows: int = 600,
) -> dict[str, Any]:
    """Build figures/maps.json: one joint map of source and target a model, of the same rows for all models.

    Args:
        features: for each model, in the order to be shown, its features of source (N_s×d) and of target (N_t×d);
            d may differ between models, N_s and N_t may not.
        label_source: int, N_s: the labels of the source, codes into `classes`.
        prediction_target: for each model, int, N_t: its predictions on the target.
        classes: C names.
        seed: decides which rows are shown.
        rows: how many of each side at most; 600 by default.

    Returns:
        {"classes", "seed", "source": {"rows", "label"}, "target": {"rows", "of"}, "maps": [{"model", "source":
        [[x, y], …], "target": [[x, y], …], "prediction": […]}, …]}; coordinates have two decimals.

    Raises:
        DataError: there is no model, the models do not have the same rows, or a feature is not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> sides = (rng.normal(size=(30, 4)), rng.normal(size=(20, 4)))
        >>> codes = np.zeros(20, int)
        >>> figure = maps_figure({"source_only": sides}, np.zeros(30, int), {"source_only": codes}, ["cat"], 0, rows=10)
        >>> len(figure["maps"][0]["source"]), figure["source"]["of"]
        (10, 30)

    Source:
        The figure of Y. Ganin and V. Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015,
        figure 3: source blue, target red, before and after.
    """
    sizes = {(len(source), len(target)) for source, target in features.values()}
    sizes |= {(len(label_source), len(prediction)) for prediction in prediction_target.values()}
    if len(sizes) != 1 or set(features) != set(prediction_target):
        raise DataError(f"the models' maps must be of the same rows, not of {sorted(sizes)}")
    n_source, n_target = next(iter(sizes))
    chosen_source, chosen_target = subset_rows(n_source, rows, seed), subset_rows(n_target, rows, seed + 1)
    maps = []
    for model, (source, target) in features.items():
        points = joint_map(np.concatenate([source[chosen_source], target[chosen_target]]), seed)
        maps.append(
            {
                "model": model,
                "source": rounded(points[: len(chosen_source)], 2),
                "target": rounded(points[len(chosen_source) :], 2),
                "prediction": np.asarray(prediction_target[model])[chosen_target].tolist(),
            }
        )
    label = np.asarray(label_source)[chosen_source].tolist()
    return {
        "classes": [clean(name) for name in classes],
        "seed": seed,
        "source": {"rows": chosen_source.tolist(), "of": n_source, "label": label},
        "target": {"rows": chosen_target.tolist(), "of": n_target},
        "maps": maps,
    }


def class_balance_figure(
    classes: Sequence[str], source_shares: np.ndarray, predictions: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Build figures/class_balance.json: how often each class occurs in the source and in each model's predictions.

    Args:
        classes: C names.
        source_shares: float, C: the shares of the classes in the source.
        predictions: for each model, int, N: its predictions on the target.

    Returns:
        {"classes", "source": [shares], "predicted": {model: [shares]}}; shares have five decimals.

    Raises:
        DataError: shares and names are not equally many, or a model has no predictions.

    Example:
        >>> figure = class_balance_figure(["cat", "dog"], np.array([0.5, 0.5]), {"dann": np.array([0, 0, 0, 1])})
        >>> figure["predicted"]
        {'dann': [0.75, 0.25]}
    """
    if len(source_shares) != len(classes):
        raise DataError(f"there are {len(source_shares)} class shares for {len(classes)} classes")
    shares = {}
    for model, prediction in predictions.items():
        if not len(prediction):
            raise DataError(f"{model}: there are no predictions to count")
        shares[model] = rounded(np.bincount(prediction, minlength=len(classes)) / len(prediction), 5)
    return {
        "classes": [clean(name) for name in classes],
        "source": rounded(np.asarray(source_shares, float), 5),
        "predicted": shares,
    }


def least_sure_figure(
    images: np.ndarray,
    probabilities: np.ndarray,
    probabilities_floor: np.ndarray,
    classes: Sequence[str],
    row_names: Sequence[str],
    count: int = 24,
) -> dict[str, Any]:
    """Build figures/least_sure.json: the target images of which the served model is least sure, as pictures.

    They are where looking pays: what the model confuses, what is no image of any class, what is labelled next.

    Args:
        images: uint8, N×C×H×W, C = 1 or 3.
        probabilities: float, N×K: of the served model.
        probabilities_floor: float, N×K: of the model without transfer.
        classes: K names.
        row_names: N names.
        count: how many images at most; 24 by default.

    Returns:
        {"images": [{"name", "png" (base64), "prediction", "confidence", "prediction_floor", "confidence_floor"}, …]},
        the least sure first; predictions are class names, confidences have four decimals.

    Raises:
        DataError: the arrays are not about the same N rows and K classes.

    Example:
        >>> images = np.zeros((2, 1, 4, 4), np.uint8)
        >>> sure = np.array([[0.9, 0.1], [0.4, 0.6]])
        >>> figure = least_sure_figure(images, sure, sure, ["cat", "dog"], ["a.png", "b.png"], count=1)
        >>> figure["images"][0]["name"], figure["images"][0]["prediction"], figure["images"][0]["confidence"]
        ('b.png', 'dog', 0.6)
    """
    expected = (len(images), len(classes))
    if not expected == probabilities.shape == probabilities_floor.shape or len(row_names) != len(images):
        raise DataError(
            f"{len(images)} images, {len(row_names)} names, {len(classes)} classes do not fit probabilities "
            f"{probabilities.shape} and {probabilities_floor.shape}"
        )
    confidence = probabilities.max(1)
    shown = []
    for row in np.argsort(confidence, kind="stable")[:count]:
        entry: dict[str, Any] = {"name": clean(row_names[int(row)]), "png": picture(images[row])}
        for suffix, rows in (("", probabilities), ("_floor", probabilities_floor)):
            entry[f"prediction{suffix}"] = clean(classes[int(rows[row].argmax())])
            entry[f"confidence{suffix}"] = round(float(rows[row].max()), 4)
        shown.append(entry)
    return {"images": shown}


def rounded(values: np.ndarray, decimals: int) -> list[Any]:
    """Round, and turn to nested lists of floats with no more digits than that.

    Example:
        >>> rounded(np.float32([0.123456, 2]), 2)
        [0.12, 2.0]
    """
    result: list[Any] = np.round(np.asarray(values, np.float64), decimals).tolist()
    return result


def picture(image: np.ndarray) -> str:
    """Encode an image, uint8 C×H×W, as PNG in base64; it is shrunk to at most 128 pixels a side, never enlarged."""
    plain = np.ascontiguousarray(image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0))
    drawing = Image.fromarray(plain)
    drawing.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    buffer = io.BytesIO()
    drawing.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def clean(name: object) -> str:
    """Turn a name to text that UTF-8 can hold: a file's name may hold bytes that are no text.

    Example:
        >>> clean("a\\udcff")
        'a?'
    """
    return str(name).encode("utf-8", "replace").decode()

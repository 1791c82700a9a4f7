"""How measures are called on the page, and what each says, in a line."""

from __future__ import annotations

from typing import Any

from juyi.report.markup import finite, label

SAYS: dict[str, tuple[str, str]] = {
    "proxy_a_distance": ("proxy 𝒜-distance", "0: a linear classifier cannot tell the sides apart; 2: always"),
    "mmd": ("MMD²", "maximum mean discrepancy: 0 only for equal distributions"),
    "energy_distance": ("energy distance", "0 only for equal distributions; has no width to choose"),
    "coral_distance": ("CORAL distance", "between the covariances; means do not count"),
    "frechet_distance": ("Fréchet distance", "between Gaussians of the same means and covariances"),
    "sliced_wasserstein": ("sliced Wasserstein", "how far mass must move, seen from random directions"),
    "wasserstein": ("Wasserstein", "how far mass must move, by exact optimal transport"),
    "accuracy_source": ("accuracy there", "of the classifier, on source rows that it has not learnt from"),
    "accuracy_target": ("accuracy here", "of the same classifier, on the target rows whose labels were given"),
    "average_thresholded_confidence": ("accuracy here, by ATC", "estimated without labels, from how sure it is"),
    "confidence_transport": ("accuracy here, by COT", "estimated without labels, by transport of its answers"),
    "ben_david_bound": ("Ben-David et al. 2010", "error here is at most"),
    "mansour_bound": ("Mansour et al. 2009", "error here is at most"),
    "margin_bound": ("Zhang et al. 2019, by margin", "error here is at most"),
    "dis2_bound": ("Rosenfeld and Garg 2023, Dis²", "accuracy here is at least"),
    "bbse": ("by BBSE", "estimated from predictions"),
    "mlls": ("by maximum likelihood", "estimated from calibrated probabilities"),
    "log_me": ("LogME", "larger is better: evidence of the labels, given the features"),
    "leep": ("LEEP", "larger is better: likelihood of the labels, given what the model says"),
    "nce": ("NCE", "larger is better: how well the model's answers tell the labels"),
    "h_score": ("H-score", "larger is better: how much of the features' variance the classes explain"),
    "gbc": ("GBC", "larger is better: how little the classes overlap, as Gaussians"),
    "trans_rate": ("TransRate", "larger is better: information that the features hold of the labels"),
}
SHARES = (
    "accuracy_source",
    "accuracy_target",
    "average_thresholded_confidence",
    "confidence_transport",
    "ben_david_bound",
    "mansour_bound",
    "margin_bound",
    "dis2_bound",
)
"""Measures that are shares of rows, and are written in percent; a bound on one may be above 100 %."""


def title(name: str) -> str:
    """Name a measure as people do; one of a single feature, or of a single class, by what stands in its brackets.

    Example:
        >>> title("mmd"), title("some_measure"), title("feature_tests[wing_length]")
        ('MMD²', 'some measure', 'wing_length')
    """
    if name.endswith("]") and "[" in name:
        return name[:-1].partition("[")[2]
    return SAYS.get(name, (label(name), ""))[0]


def says(name: str) -> str:
    """Say in a line what a measure means; empty if nobody has written one."""
    return SAYS.get(name, ("", ""))[1]


def figure(value: object, name: str, group: str = "") -> str:
    """Write a measured figure: a share in percent, anything else with three or four digits, what is unknown as a dash.

    Example:
        >>> figure(0.9731, "accuracy_source"), figure(1.89213, "proxy_a_distance"), figure(None, "mmd")
        ('97.3 %', '1.892', '–')
    """
    known = finite(value)
    if known is None:
        return "–"
    if name in SHARES or group == "class_share":
        return f"{known * 100:.1f} %" if known <= 1 else "over 100 %"
    return number(known)


def number(value: object) -> str:
    """Write a number with four digits and a true minus sign; what is absent as a dash.

    Example:
        >>> number(-0.031234), number(None)
        ('−0.03123', '–')
    """
    known = finite(value)
    return "–" if known is None else f"{known:,.4g}".replace("-", "\N{MINUS SIGN}")


def interval(result: dict[str, Any], group: str = "") -> str:
    """Write an interval as `low to high`; empty where there is none.

    Example:
        >>> interval({"name": "mmd", "low": 0.1, "high": 0.25})
        '0.1 to 0.25'
    """
    low, high = finite(result.get("low")), finite(result.get("high"))
    name = str(result.get("name"))
    if low is None or high is None:
        return ""
    first, last = figure(low, name, group), figure(high, name, group)
    return f"{first.removesuffix(' %')} to {last}"


def p_text(value: object) -> str:
    """Write a p-value; a dash where there is none.

    Example:
        >>> p_text(0.0312), p_text(1e-9), p_text(None)
        ('0.031', '< 0.0001', '–')
    """
    known = finite(value)
    if known is None:
        return "–"
    return "< 0.0001" if known < 0.0001 else f"{known:.2g}"

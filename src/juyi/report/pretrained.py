"""Of a pretraining: how the features became, what the views look like, which images are near which, the map."""

from __future__ import annotations

from typing import Any

from juyi.report.charts import CLASS_COLOURS, MAP_LAYOUT, Figure, points
from juyi.report.markup import escape, finite, image, label, quantity, section

WATCHED_NOTE = (
    "Measured now and then. The effective rank (RankMe) is how many dimensions the features truly fill; near 1, "
    "all images look alike to the backbone. It compares epochs and runs of one method, not methods."
)
VIEWS_NOTE = (
    "On the left each image as it is, then views of it as the backbone saw them: what stays the same in all of them, "
    "it learnt to keep. If a person could not tell what a view shows, its look (--look) goes too far; if something "
    "that matters differs between the views of one image, too."
)
NEAR_NOTE = (
    "Images that were learnt from, and those nearest to each in the features, the nearest first. No label was read: "
    "where the rows show the same thing, a few labels will go far."
)
MAP_NOTE = (
    "Features laid out so that neighbours stay neighbours (t-SNE). Axes and distances between far groups mean nothing, "
    "and a beautiful map is no proof."
)
MEASURES = {
    "rank_me": ("effective rank (RankMe)", "dimensions that the features fill"),
    "lidar": ("LiDAR", "dimensions in which images differ more than views of one image"),
    "alignment": ("alignment", "distance of two views of one image, 0 to 4; small where they are told alike"),
    "uniformity": ("uniformity", "0 where all images are alike, to −4 or so where they are spread evenly"),
}


def representation(record: dict[str, Any]) -> str:
    """Write what was measured of the features without labels, beside the untrained network's."""
    found = {name: one for name, one in (record.get("representation") or {}).items() if isinstance(one, dict)}
    if not found:
        return ""
    head = "".join(f"<th>{escape(label(name))}</th>" for name in found)
    rows = "".join(
        f"<tr><th>{title} <small>{what}</small></th>"
        + "".join(f"<td>{quantity(one.get(key), key)}</td>" for one in found.values())
        + "</tr>"
        for key, (title, what) in MEASURES.items()
    )
    table = (
        f'<div class="wide-table"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    return section("representation", "The features, without labels", table, "Of up to 1,000 images, one number each.")


def watched(figure: dict[str, Any], drawn: dict[str, dict[str, Figure]]) -> str:
    """Show how the features became, epoch by epoch: neighbours where labels were watched by, and the effective rank."""
    epochs = [one for one in figure.get("epochs") or [] if finite(one.get("epoch"))]
    panels = []
    for key, title, factor in (("neighbours", "foretold by neighbours, %", 100), ("rank_me", "effective rank", 1)):
        values = [finite(one.get(key)) for one in epochs]
        if len(epochs) < 2 or None in values:
            continue
        drawn[f"watched-{key}"] = {"only": _line([one["epoch"] for one in epochs], values, title, factor)}
        place = f'<div class="chart loss" id="watched-{key}" role="img" aria-label="{title}, by epoch"></div>'
        panels.append(f"<figure><figcaption>{title}</figcaption>{place}</figure>")
    body = f'<div class="pair">{"".join(panels)}</div>' if panels else ""
    return section("watched", "How the features became", body, WATCHED_NOTE)


def _line(epochs: list[Any], values: list[float | None], title: str, factor: float) -> Figure:
    trace = {
        "type": "scatter", "mode": "lines+markers" if len(epochs) < 12 else "lines", "x": epochs,
        "y": [factor * (value or 0.0) for value in values], "line": {"color": "@after", "width": 2.2},
        "hovertemplate": "epoch %{x}: %{y:.1f}<extra></extra>",
    }  # fmt: skip
    ticks = {"dtick": 1} if len(epochs) < 8 else {"tickformat": "d", "nticks": 7}
    layout = {
        "xaxis": {"title": {"text": "epoch", "standoff": 6}, "fixedrange": True, **ticks},
        "yaxis": {"title": {"text": title}, "fixedrange": True, "nticks": 5},
        "showlegend": False,
        "margin": {"l": 56, "r": 10, "t": 12, "b": 40},
    }
    return {"data": [trace], "layout": layout}


def views(figure: dict[str, Any]) -> str:
    """Show images and the views of them."""
    rows = [(one.get("image"), one.get("views") or []) for one in figure.get("rows") or [] if isinstance(one, dict)]
    return section("views", "What it saw", _rows(rows, "an image", "a view of it"), VIEWS_NOTE)


def neighbours(figure: dict[str, Any]) -> str:
    """Show images and those that are nearest to them."""
    rows = [(one.get("image"), one.get("near") or []) for one in figure.get("rows") or [] if isinstance(one, dict)]
    return section("neighbours", "Which images it finds alike", _rows(rows, "an image", "one near it"), NEAR_NOTE)


def _rows(rows: list[tuple[Any, list[Any]]], first: str, other: str) -> str:
    lines = []
    for one, more in rows:
        cells = "".join(f"<li>{image(png, other)}</li>" for png in more)
        lines.append(f'<div class="made likes"><b>{image(one, first)}</b><ul>{cells}</ul></div>')
    return "".join(lines)


def feature_map(figure: dict[str, Any], drawn: dict[str, dict[str, Figure]]) -> str:
    """Show the map of the features, coloured by class where labels were watched by."""
    where = [one for one in figure.get("points") or [] if isinstance(one, list) and len(one) == 2]
    if not where:
        return ""
    labels, classes = figure.get("label") or [], figure.get("classes") or []
    if len(labels) == len(where) and classes:
        groups = [
            (str(name), f"@class{code % CLASS_COLOURS}", [p for p, y in zip(where, labels, strict=True) if y == code])
            for code, name in enumerate(classes)
        ]
    else:
        groups = [("images", "@after", where)]
    traces = [points(some, [escape(name)] * len(some), name, colour, "circle") for name, colour, some in groups if some]
    drawn["map-features"] = {"only": {"data": traces, "layout": MAP_LAYOUT}}
    key = "".join(
        f'<li><i class="dot" style="background:var(--{colour[1:]})"></i>{escape(name)}</li>'
        for name, colour, _ in groups
    )
    key = f'<div class="controls"><ul class="key">{key}</ul></div>' if len(groups) > 1 else ""
    place = '<div class="chart map" id="map-features" role="img" aria-label="Map of the features"></div>'
    return section("feature-map", "The map of the features", f"{key}<figure>{place}</figure>", MAP_NOTE)

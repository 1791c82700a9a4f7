"""The figures of chapter 0 are those of the benchmark, in both languages."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORD = json.loads((ROOT / "bench" / "results" / "weather.json").read_text(encoding="utf-8"))
COLUMNS = ("target_only", "pulled to the source, slope 1, penalty 20", "all weighed, slope auto")
CITIES = {"Chicago": "chicago", "Auckland": "auckland", "芝加哥": "chicago", "奥克兰": "auckland"}


def value(city, labels, way):
    wanted = {"pair": f"beijing → {city}", "labels": labels, "way": way}.items()
    return next(r["mean_absolute_error"] for r in RECORD["results"] if wanted <= r.items())


@pytest.mark.parametrize("name", ["chapter-0-the-weather.md", "chapter-0-the-weather.zh-CN.md"])
def test_the_table_says_what_was_measured(name):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    lines = re.findall(r"^\| (\w+)[,，] ?(\d+) \| ([\d. |]+) \|$", text, re.M)
    assert len(lines) == 8
    for city, labels, cells in lines:
        place, n = CITIES[city], int(labels)
        wanted = [value(place, 0, "source_only"), *(value(place, n, way) for way in COLUMNS)]
        assert [cell.strip() for cell in cells.split("|")] == [f"{one:.1f}" for one in wanted]


def test_what_is_said_beside_it_holds():
    verdicts = {(v["pair"], v["way"]): v for v in RECORD["verdicts"]}
    assert verdicts["beijing → auckland", COLUMNS[1]] == {
        "pair": "beijing → auckland", "labels": 5, "way": COLUMNS[1], "hurt": 50
    }  # fmt: skip
    worse = [g for g in RECORD["gain_of_all_weighed_over_target_only"] if g["labels"] == 10 and g["high"] < 0]
    assert {g["pair"]: round(-g["gain"], 1) for g in worse} == {"mumbai → chicago": 0.2, "mumbai → san_diego": 0.1}
    assert len({g["pair"] for g in RECORD["gain_of_all_weighed_over_target_only"]}) == 20 and RECORD["draws"] == 50
    relations = json.loads((ROOT / "bench" / "results" / "relations.json").read_text(encoding="utf-8"))
    assert relations["means"]["slope auto, weigh"] < relations["means"]["slope auto, best"]
    ways = {line["way"] for line in relations["results"]}
    assert sum(line["draws"] for line in relations["results"]) == 1200 * len(ways)

"""The built-in weather: what was measured, how it is named, and that no day of one city is one of another."""

import csv
from datetime import date

import numpy as np
import pytest

from juyi.data import describe, known_data, load
from juyi.data.doors import rows_in_common
from juyi.data.weather import LONGITUDES, WEATHER_ROWS
from juyi.errors import DataError


def test_every_split_is_there_with_as_many_days_as_the_list_says():
    known = next(data for data in known_data() if data.name == "weather")
    assert (known.kind, known.where, known.available) == ("features", "built in", True)
    assert len(known.rows) == 15
    for split, rows in known.rows.items():
        days = load(f"weather@{split}")
        assert days.size == rows and days.labelled.all() and days.classes is None and days.unit == "°C"
        assert days.y.dtype == np.float32 and days.x.dtype == np.float32 and days.x.shape[1] == len(days.columns) == 4


def test_the_two_years_of_a_city_are_the_city():
    both = load("weather@chicago")
    apart = load("weather@chicago-2016+chicago-2017")
    assert np.array_equal(both.x, apart.x) and np.array_equal(both.y, apart.y)
    assert apart.groups == ("chicago-2016", "chicago-2017") and apart.unit == "°C"
    assert both.columns == apart.columns
    assert list(both.row_names) == [name.partition("/")[2] for name in apart.row_names]


def test_the_temperatures_are_those_that_were_measured(real_data):
    with (real_data / "weather" / "daily.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert {line["city"].lower().replace(" ", "_") for line in lines} == set(LONGITUDES)
    for city in LONGITUDES:
        days = load(f"weather@{city}")
        wanted = {
            line["date"]: float(line["mean_c"]) for line in lines if line["city"].lower().replace(" ", "_") == city
        }
        assert list(days.row_names) == list(wanted)
        assert np.allclose(days.y, list(wanted.values()), atol=1e-5)


def test_the_seasons_are_where_they_are_and_reversed_in_the_south():
    def month(city, number):
        days = load(f"weather@{city}")
        return days.y[[date.fromisoformat(name).month == number for name in days.row_names]].mean()

    for city in ("beijing", "chicago", "san_diego"):
        assert month(city, 7) > month(city, 1)
    assert month("auckland", 7) < month("auckland", 1)


def test_the_features_are_waves_of_the_year_at_the_citys_noon():
    days = load("weather@beijing-2017")
    since = (date(2017, 3, 1) - date(2016, 1, 1)).days + 0.5 - LONGITUDES["beijing"] / 360
    turn = 2 * np.pi * since / 365.2422
    row = list(days.row_names).index("2017-03-01")
    assert np.allclose(days.x[row], [np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)], atol=1e-6)
    assert np.allclose(days.x[:, 0] ** 2 + days.x[:, 1] ** 2, 1, atol=1e-6)


def test_no_day_is_another_ones_twin_so_no_leak_is_warned_of():
    domains = [load(f"weather@{city}-{year}") for city in LONGITUDES for year in (2016, 2017)]
    for i, one in enumerate(domains):
        assert rows_in_common(one, one) == one.size
        assert all(rows_in_common(one, other) == 0 for other in domains[:i])


def test_warmth_is_the_warmer_half_of_the_citys_own_days():
    for city in LONGITUDES:
        days, warmth = load(f"weather@{city}"), load(f"weather@{city}", label="warmth")
        assert warmth.classes == ("cold", "warm")
        assert days.y[warmth.y == 1].min() > np.median(days.y) >= days.y[warmth.y == 0].max()
        assert 0.3 < warmth.y.mean() <= 0.5


def test_a_part_is_drawn_by_the_seed():
    one, same, other = (load("weather@mumbai[:20]", seed=seed) for seed in (0, 0, 1))
    assert one.size == 20 and list(one.row_names) == list(same.row_names) != list(other.row_names)
    assert "labels: all 20 rows, values from" in describe(one)[2] and describe(one)[2].endswith(" °C")


@pytest.mark.parametrize(
    ("name", "label", "words"),
    [
        ("weather", None, "say which split, such as weather@auckland"),
        ("weather@bejing", None, "did you mean beijing?"),
        ("weather@beijing-2018", None, "has no split beijing-2018; did you mean beijing-201"),
        ("weather@beijing", "warmt", "there is no column warmt for the labels; did you mean warmth?"),
        ("weather@beijing+auckland", "cold", "known are temperature, warmth"),
    ],
)
def test_what_there_is_not_is_said(name, label, words):
    with pytest.raises(DataError, match=words.replace("?", r"\?")):
        load(name, label=label)


def test_names_of_splits_are_of_the_longitudes():
    assert {split.partition("-")[0] for split in WEATHER_ROWS} == set(LONGITUDES)

"""Data that come with the installation: the mean temperature of every day of two years in five cities."""

from __future__ import annotations

import csv
from datetime import date
from functools import lru_cache
from importlib.resources import files

import numpy as np

from juyi.data.domain import Domain
from juyi.data.tables import LabelColumnMissingError
from juyi.errors import nearest

LONGITUDES = {"auckland": 174.8, "beijing": 116.4, "chicago": -87.6, "mumbai": 72.9, "san_diego": -117.2}
"""The cities, and their longitudes in degrees east."""
YEARS = ("2016", "2017")
ROWS = {"2016": 366, "2017": 365}
COLUMNS = ("sine_of_year", "cosine_of_year", "sine_of_half_year", "cosine_of_half_year")
CLASSES = ("cold", "warm")
TROPICAL_YEAR = 365.2422  # days

WEATHER_ROWS: dict[str, int | None] = {
    f"{city}{year}": rows
    for city in LONGITUDES
    for year, rows in (("", sum(ROWS.values())), *((f"-{year}", ROWS[year]) for year in YEARS))
}
"""Every split, `beijing`, `beijing-2016`, `beijing-2017`, ..., and how many days it has."""


def weather(split: str, label: str | None = None) -> Domain:
    """Return the days of a city, with the mean temperature of each as its label.

    What is known of a day is when in the year it lies, and nothing of its city.  With t the time from the beginning
    of 2016 to the noon of the city's sun, in years, the features are

        sin 2πt, cos 2πt, sin 4πt, cos 4πt

    Since it is another noon in every city and year, no two days have quite the same features.

    Args:
        split: a city, `auckland`, `beijing`, `chicago`, `mumbai` or `san_diego`, for both years, or one year of it,
            `beijing-2016`.
        label: `temperature` (the default), in °C; or `warmth`, two classes: `warm` above the city's own median
            over both years, else `cold`.

    Returns:
        The days in order, each named by its date.

    Raises:
        LabelColumnMissingError: the label is none of these.

    Example:
        >>> days = weather("auckland-2017")
        >>> days.size, days.row_name(0), round(float(days.y[0]), 1), days.unit
        (365, '2017-01-01', 19.4, '°C')
        >>> weather("auckland-2017", "warmth").classes
        ('cold', 'warm')

    Source: measured facts, from the table `Weather` of the R package mosaicData (Weather Underground, 2016 and 2017;
    whole degrees Fahrenheit there).
    """
    if label not in (None, "temperature", "warmth"):
        known = nearest(str(label), ("temperature", "warmth"))
        raise LabelColumnMissingError(f"weather@{split}: there is no column {label} for the labels; {known}")
    city, _, year = split.partition("-")
    dates, temperatures = _table()
    whole = temperatures[city]
    rows = np.array([not year or day.startswith(year) for day in dates])
    named = [day for day, wanted in zip(dates, rows, strict=True) if wanted]
    x = _features(named, LONGITUDES[city])
    if label == "warmth":
        y = (whole > np.median(whole))[rows].astype(np.int64)
        return Domain(x, y, classes=CLASSES, name=f"weather@{split}", row_names=named, columns=COLUMNS)
    return Domain(x, whole[rows], name=f"weather@{split}", row_names=named, columns=COLUMNS, unit="°C")


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Read the file: the dates, and each city's temperatures in °C."""
    text = files("juyi.data").joinpath("weather.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    temperatures = {city: np.array([line[city] for line in lines], np.float32) for city in LONGITUDES}
    return tuple(line["date"] for line in lines), temperatures


def _features(dates: list[str], longitude: float) -> np.ndarray:
    """Give sine and cosine of the first two harmonics of the year, N×4, for noon at a longitude in degrees east."""
    days = np.array([(date.fromisoformat(day) - date(2016, 1, 1)).days for day in dates])
    angle = 2 * np.pi * (days + 0.5 - longitude / 360) / TROPICAL_YEAR
    waves = [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
    return np.stack(waves, axis=1).astype(np.float32)

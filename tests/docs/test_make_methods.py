"""The script that writes the pages of methods: what it takes from a class, and from results that may be absent."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from juyi.adapt import METHODS

SCRIPT = Path(__file__).parents[2] / "docs" / "make_methods.py"


@pytest.fixture
def made(monkeypatch, tmp_path):
    """The script as a module, its results in an empty folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("make_methods", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_methods", module)
    spec.loader.exec_module(module)
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(module.table, "HERE", tmp_path)
    return module


def write(folder, seed, value, seconds, **more):
    """A result as bench/run.py keeps it."""
    on = {"data": "d@test", "role": "test"}
    values = {"source_only": 0.5, "dann": value}
    results = [{"name": "accuracy", "model": m, "value": v, "on": on} for m, v in values.items()]
    record = {"command": f"juyi adapt a b --seed {seed}", "method": "dann", "results": results, "seconds": seconds}
    place = folder / "results" / "some" / f"seed-{seed}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(record | more))


class Toy:
    """Do something:

    at length.

    Source: Nobody, "Nothing",
    2026, equation 1.

    Example:
        >>> 1
        1
    """

    needs_batch_norm = True
    needs_target_labels = True
    source_free = False
    unweighable = "it is a toy"


def test_every_method_is_on_both_pages_whether_there_are_results_or_not(made):
    for language in ("en", "zh"):
        page = made.page(language)
        for name, method in METHODS.items():
            assert f"\n## {name}\n" in page and f"juyi.adapt.{method.__name__}`" in page
        assert page.count(made.WORDS[language]["none"]) == page.count("\n## ")


def test_facts_come_from_the_class(made):
    said = made.section("toy", Toy, "adapt", "en")
    assert 'Source: Nobody, "Nothing", 2026, equation 1.\n' in said
    assert "Needs: some labels of the target (`--target-labels`); a network with batch norm.\n" in said
    assert "`--class-shares estimated` cannot be had: it is a toy.\n" in said
    assert "finished run" not in said and "\nDo something\n" in said
    assert "\nDo something\n" in made.section("toy", Toy, "adapt", "zh")  # no line in Chinese: the English one
    assert made.CHINESE["dann"] in made.section("dann", METHODS["dann"], "adapt", "zh")
    assert made.source(type("Bare", (), {})) == ""


def test_figures_and_costs_come_from_the_results(made, tmp_path):
    for seed, value in enumerate((0.6, 0.7, 0.8)):
        write(tmp_path, seed, value, {"source_only": 10.0, "dann": 10.0 * (seed + 1)})
    assert made.costs("adapt", "dann") == [1.0, 2.0, 3.0] and made.costs("adapt", "adda") == []
    said = made.section("dann", METHODS["dann"], "adapt", "en")
    assert "2.0 times as long as source only (median of 3 runs; 1.0 to 3.0)" in said
    rows = [line for line in said.splitlines() if line.startswith("| `")]
    assert rows[0].startswith("| `juyi adapt a b`, source only | 0.500 |")
    assert rows[1].startswith("| `juyi adapt a b` | 0.700 |") and "| 3 |" in rows[1]
    assert "| 2.0 × |" in made.page("en")


def test_results_of_another_form_are_left_out(made, tmp_path):
    write(tmp_path, 0, 0.6, {}, method=None)
    assert made.experiments("adapt", "dann") == []
    write(tmp_path, 0, 0.6, {})
    assert made.costs("adapt", "dann") == [] and "one seed" in made.section("dann", METHODS["dann"], "adapt", "en")


def test_a_stale_page_is_named(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(made, "PAGES", {language: tmp_path / f"{language}.md" for language in ("en", "zh")})
    monkeypatch.setattr(sys, "argv", ["make_methods.py", "--check"])
    assert made.main() == 1 and "en.md is not what methods and results say" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["make_methods.py"])
    assert made.main() == 0
    monkeypatch.setattr(sys, "argv", ["make_methods.py", "--check"])
    assert made.main() == 0 and capsys.readouterr().out == ""

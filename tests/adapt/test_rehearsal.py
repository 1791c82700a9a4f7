"""The dress rehearsal: what it measures is what a person would by hand, and nothing of the target's labels."""

import numpy as np
import pytest

import juyi
from juyi.adapt import MCC, Request, SourceOnly
from juyi.adapt.rehearsal import Stage
from juyi.check.adapter import small
from juyi.check.common import shifted_domains
from juyi.data import Domain, withhold_labels
from juyi.errors import SettingError


def test_it_is_the_gain_that_one_measures_by_hand():
    source, target = shifted_domains()
    stage, method = Stage(source, withhold_labels(target), seed=1), small(MCC, epochs=8)
    found = stage.rehearse(method)
    hidden = withhold_labels(stage.target)
    by_hand = [
        small(kind, epochs=8)
        .fit(stage.source, target=hidden)
        .score(Domain(stage.target.x, stage.target.y, classes=source.classes))
        for kind in (MCC, SourceOnly)
    ]
    assert (found.accuracy, found.accuracy_floor) == pytest.approx(tuple(by_hand))
    assert found.gain == pytest.approx(by_hand[0] - by_hand[1]) and found.low <= found.gain <= found.high
    assert found.n == stage.target.size and stage.source.size + stage.target.size == source.size


def test_the_two_halves_share_no_row_and_no_label_of_the_target_is_read():
    source, target = shifted_domains()
    stages = [Stage(source, Domain(target.x, y, classes=target.classes), 0) for y in (target.y, target.y[::-1].copy())]
    assert (stages[0].target.x == stages[1].target.x).all() and (stages[0].source.x == stages[1].source.x).all()
    rows = {row.tobytes() for row in stages[0].source.x}
    assert len(rows & {row.tobytes() for row in source.x}) == stages[0].source.size


def test_the_method_is_left_unfitted_and_source_only_is_trained_once(monkeypatch):
    source, target = shifted_domains()
    stage, method = Stage(source, target), small(MCC)
    fits = []
    real = SourceOnly.fit
    monkeypatch.setattr(SourceOnly, "fit", lambda self, *a, **k: (fits.append(1), real(self, *a, **k))[1])
    stage.rehearse(method), stage.rehearse(method)
    assert len(fits) == 1 and not hasattr(method, "net_")


@pytest.mark.parametrize(("labels", "words"), [("numbers", "labels are numbers"), ("classes", None)])
def test_what_cannot_be_rehearsed_is_refused_before_anything_is_written(tmp_path, monkeypatch, labels, words):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("there", "here"):
        y = random.integers(2, size=120) if labels == "classes" else random.normal(size=120).round(3)
        lines = ["a,b,kind"] + [f"{x[0]},{x[1]},{k}" for x, k in zip(random.normal(size=(120, 2)), y, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    request = Request("there.csv", "here.csv", label="kind", rehearse=True)
    if words is None:
        folder = juyi.adapt.run(request, small(MCC, batch=30), out="run")
        assert folder.read()["rehearsal"]["n"] > 40 and "dress rehearsal" in folder.read()["verdict"]["sentence"]
        return
    with pytest.raises(SettingError, match=words):
        juyi.adapt.run(request, small(SourceOnly, batch=30), out="run")
    assert not (tmp_path / "run").exists()

"""The page that runs an exported model: in a real browser, from a file, without network, with Python's answers."""

import gzip
import hashlib
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

import juyi
from juyi.adapt import Request, SourceOnly, run
from juyi.data import conform
from juyi.data.domain import Domain
from juyi.portable import OnnxModel
from juyi.report import write_model_page
from juyi.report.model_page import render_model_page
from juyi.runs import RunFolder

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytest.importorskip("onnxruntime")
from juyi import export
from report.browsing import NEEDS_BROWSER, ask, open_file, wait

pytestmark = NEEDS_BROWSER
QUICK = {"batch": 32, "precision": "float32", "device": "cpu"}
READY = "document.getElementById('state').dataset.ready == 'yes'"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run of digits, exported once, with both files."""
    folder = tmp_path_factory.mktemp("exported")
    made = run(Request("digits@train"), SourceOnly(net="lenet5", epochs=6, **QUICK), out=folder / "run")
    export.run(export.Request(str(made.path), int8=True, calibrate="digits@train"))
    return made


def show(browser, page, pictures, folder):
    """Open the page, give it pictures, and return what it answers by name, the messages and what was asked for."""
    messages, asked = open_file(browser, page)
    wait(browser, READY)
    names = []
    for number, picture in enumerate(pictures):
        names.append(str(folder / f"{number:03d}.png"))
        Image.fromarray(picture).save(names[-1])
    browser.find_element("id", "pictures").send_keys("\n".join(names))
    wait(browser, f"document.getElementById('state').dataset.asked == '{len(names)}'")
    cards = "[...document.querySelectorAll('#answers .card')].map(card => [card.dataset.name, card.dataset.prediction])"
    found = dict(ask(browser, cards))
    return [found[f"{number:03d}.png"] for number in range(len(names))], messages, asked


def told(path, x):
    model = OnnxModel(path)
    return [model.classes[code] for code in model.scores(x).argmax(1)]


@pytest.mark.parametrize("which", ["float32", "int8"])
def test_a_hundred_digits_are_answered_as_in_python(browser, exported, tmp_path, which):
    record = exported.read()
    record["export"]["use"] = which
    exported.write(record)
    page = write_model_page(exported)
    x = juyi.load("digits@test").x[:100]
    answers, messages, asked = show(browser, page, x[:, 0], tmp_path)
    path = exported.path / record["export"]["files"][which]["path"]
    assert answers == told(path, x)
    assert messages == [] and [a for a in asked if not a.startswith(("data:", "blob:"))] == [page.as_uri()]
    assert ask(browser, "document.documentElement.scrollWidth <= window.innerWidth")


def test_pictures_of_other_sizes_and_colours_are_brought_to_the_models_as_in_python(browser, exported, tmp_path):
    random = np.random.default_rng(0)
    small = juyi.load("digits@test").x[:12, 0]
    pictures = [np.kron(one, np.ones((3, 2), np.uint8)) for one in small[:6]]
    pictures += [one[4:, :22] for one in small[6:9]]
    pictures += [random.integers(0, 256, (40, 31, 3), dtype=np.uint8) for _ in range(3)]
    answers, messages, _ = show(browser, write_model_page(exported), pictures, tmp_path)
    record = exported.read()["export"]
    path = exported.path / record["files"][record["use"]]["path"]
    for answer, picture in zip(answers, pictures, strict=True):
        image = picture[None, None] if picture.ndim == 2 else picture.transpose(2, 0, 1)[None]
        assert [answer] == told(path, conform(Domain(image), (1, 28, 28)).x)
    assert messages == []


def test_a_drawn_digit_is_answered(browser, exported):
    open_file(browser, write_model_page(exported))
    wait(browser, READY)
    stroke = """
        const pad = document.getElementById('pad'), box = pad.getBoundingClientRect();
        const at = (name, x, y) => pad.dispatchEvent(new PointerEvent(name, {pointerId: 1, bubbles: true,
            clientX: box.left + x * box.width, clientY: box.top + y * box.height}));
        pad.setPointerCapture = () => {};
        at('pointerdown', .5, .2);
        for (let y = .2; y < .8; y += .05) at('pointermove', .5, y);
        at('pointerup', .5, .8);
    """
    browser.execute_script(stroke)
    wait(browser, "document.querySelectorAll('#drawn .card').length == 1")
    assert ask(browser, "document.querySelector('#drawn .card').dataset.prediction") in "0123456789"
    browser.execute_script("document.getElementById('clear').click()")
    assert ask(browser, "document.querySelectorAll('#drawn .card').length") == 0


def test_what_is_no_picture_is_named_and_the_rest_is_answered(browser, exported, tmp_path):
    open_file(browser, write_model_page(exported))
    wait(browser, READY)
    (tmp_path / "notes.png").write_bytes(b"no picture")
    Image.fromarray(juyi.load("digits@test").x[0, 0]).save(tmp_path / "one.png")
    browser.find_element("id", "pictures").send_keys(f"{tmp_path / 'notes.png'}\n{tmp_path / 'one.png'}")
    wait(browser, "document.getElementById('state').dataset.asked == '1'")
    assert "notes.png: no picture that this browser can read." in ask(
        browser, "document.getElementById('state').textContent"
    )


def test_hostile_names_are_text(browser, exported, tmp_path):
    hostile = '</script><img src=x onerror="document.title=1">'
    record = exported.read()["export"]
    content = (exported.path / record["files"]["float32"]["path"]).read_bytes()
    page = tmp_path / "page.html"
    page.write_text(render_model_page(content, (1, 28, 28), [f"{hostile}{i}" for i in range(10)], hostile))
    answers, messages, _ = show(browser, page, juyi.load("digits@test").x[:3, 0], tmp_path)
    assert all(answer.startswith(hostile) for answer in answers) and messages == []
    assert ask(browser, "document.title") == f"{hostile} – Juyi"


def test_a_page_that_is_damaged_says_so(browser, exported, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(render_model_page(b"no model", (1, 28, 28), None, "a name"))
    open_file(browser, page)
    wait(browser, "document.getElementById('state').textContent.startsWith('The model cannot be run')")


def test_the_runtime_is_the_one_that_is_named():
    """What is shipped is onnxruntime-web as it was published; the hashes are of the files in its package."""
    place = files("juyi.report").joinpath("onnxruntime")
    named = dict(reversed(line.split()) for line in place.joinpath("SHA256SUMS").read_text().splitlines())
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        content = gzip.decompress(place.joinpath(f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == named[name]


def test_a_table_has_no_page(tmp_path):
    made = run(Request("weather@beijing-2016"), SourceOnly(net="mlp", epochs=1, **QUICK), out=tmp_path / "run")
    export.run(export.Request(str(made.path)))
    assert write_model_page(RunFolder.open(made.path)) is None

"""What the documents say holds: code runs, commands work, both languages agree, links lead somewhere."""

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from juyi import distill
from juyi.cli import main
from juyi.cli.app import VERBS
from juyi.cli.methods import ROOMS
from juyi.cli.options import option_name
from juyi.errors import JuyiError
from juyi.training import declared

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
ENGLISH = [page for page in PAGES if not page.name.endswith(".zh-CN.md")]
CHINESE = [page for page in PAGES if page.name.endswith(".zh-CN.md")]
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUICK = {"--epochs": "1", "--batch": "8", "--net": "lenet5_half", "--precision": "float32"}
"""What is added to a command that learns, where it does not say so itself: a run of a moment."""
QUICK_DISTILLING = {
    "epochs": "1", "specialist_epochs": "1", "batch": "8", "precision": "float32", "student": "lenet5_half",
    "impressions": "40", "at_once": "40", "steps": "2", "epoch_steps": "2",
}  # fmt: skip
"""The same for methods of distillation, of which each has some."""
LONG = re.compile(r"((?:\"(?:epochs|rounds)\": |\b(?:epochs|rounds)=))[0-9]+")
"""Where Python says how long to learn; on a page that asserts nothing of what comes of it, once will do."""
OTHERS = {"--help", "--list", "--nproc-per-node"}
"""Options of other programs that the documents name, and the one that help does not list."""


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    kind: str
    code: str
    line: int
    reason: str | None

    def commands(self):
        """The command lines of a shell block, continued lines joined; what a console block prints is left out."""
        lines = self.code.replace("\\\n", " ").splitlines()
        if self.kind == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip() and not line.startswith("#")]


def blocks(page):
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        before = text[: match.start()].rstrip("\n").rpartition("\n")[2]
        reason = NOT_RUN.fullmatch(before)
        line = text[: match.start(2)].count("\n")
        found.append(Block(match[1], match[2], line, reason and reason[1]))
    return found


def name(page):
    return page.relative_to(ROOT).as_posix()


def each(pages, wanted=lambda page: True):
    return pytest.mark.parametrize("page", [page for page in pages if wanted(page)], ids=name)


def has(kind):
    return lambda page: any(block.kind in kind and not block.reason for block in blocks(page))


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path, tmp_path_factory):
    """Every page works in an empty folder of its own, with a cache of its own."""
    monkeypatch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("JUYI_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def folder_of_pictures(path, classes, n, seed):
    """Write n grey pictures a class, bright on the left or on the right; without classes, a flat folder."""
    rng = np.random.default_rng(seed)
    for i in range(n * max(1, len(classes))):
        code = i % 2
        picture = rng.integers(0, 100, (28, 28), dtype=np.uint8)
        picture[:, 14 * code : 14 * code + 14] += np.uint8(100)
        place = Path(path) / (classes[code] if classes else "")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{i}.png")


@pytest.fixture
def stand_ins():
    """The folders that the pages name, small."""
    for number, place in enumerate(("photos", "sketches", "sketches-labelled")):
        folder_of_pictures(place, () if place == "sketches" else ("cat", "dog"), 12, number)
    folder_of_pictures("new-sketches", (), 3, 7)
    Path("few-labels.csv").write_text("name,label\n0.png,cat\n1.png,dog\n", encoding="utf-8")


def test_there_are_pages_with_code():
    found = [block for page in ENGLISH for block in blocks(page)]
    assert sum(block.kind == "python" for block in found) >= 8
    assert sum(block.kind in ("sh", "console") for block in found) >= 5
    assert {block.kind for block in found} <= {"python", "sh", "console", "text", "json"}


@each(ENGLISH, has("python"))
def test_python_runs(page, tmp_path, monkeypatch):
    lines, found = [], blocks(page)
    brief = not any("assert " in block.code for block in found)  # nothing hangs on how well it learns
    for block in found:
        if block.kind == "python":
            assert not block.reason, "Python always runs"
            if brief:
                block = replace(block, code=LONG.sub(r"\g<1>1", block.code))
            lines += [""] * (block.line - len(lines)) + block.code.splitlines()
    module = tmp_path / f"{page.stem.replace('-', '_').lower()}_page.py"
    module.write_text("\n".join(lines) + "\n", encoding="utf-8")  # a line has the number that it has on the page
    spec = importlib.util.spec_from_file_location(module.stem, module)
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, module.stem, made)
    spec.loader.exec_module(made)


@each(ENGLISH, has(("sh", "console")))
def test_commands_run(page, stand_ins, capsys):
    for block in blocks(page):
        if block.kind not in ("sh", "console") or block.reason:
            continue
        for line in block.commands():
            words = shlex.split(line, comments=True)
            assert words[0] == "juyi", f"{name(page)}, line {block.line}: {line} is no juyi command; mark the block"
            if words[1] in ("adapt", "train", "pretrain", "finetune") and "--online" not in words:
                quick = {key: value for key, value in QUICK.items() if key not in words}
                if "weather@" in line or words[1] == "finetune":  # another default for rows; the backbone's
                    quick.pop("--net", None)
                words += [word for pair in quick.items() for word in pair]
                words += ["--adversarial-epochs", "1"] if "adda" in words else []
            if words[1] == "distill":
                words += [word for pair in quick_distilling(words).items() if pair[0] not in words for word in pair]
            for long in ("--epochs", "--rounds"):
                if long in words:
                    words[words.index(long) + 1] = "1"
            code = main(words[1:])
            assert code == 0, f"{name(page)}, line {block.line}: {line}\n{capsys.readouterr().err}"


def quick_distilling(words):
    """Options that make a distillation short, of those that its method has."""
    method = words[words.index("--method") + 1] if "--method" in words else "hinton"
    known = set(declared(distill.METHODS[method]))
    if distill.METHODS[method].makes != "student" or any(word.startswith("--max-") for word in words):
        known -= {"student"}
    return {f"--{key.replace('_', '-')}": value for key, value in QUICK_DISTILLING.items() if key in known}


@each(CHINESE)
def test_both_languages_have_the_same_code(page):
    english = page.with_name(page.name.replace(".zh-CN", ""))
    ours, theirs = ([(b.kind, b.code) for b in blocks(p) if b.kind != "text"] for p in (page, english))
    assert ours == theirs
    assert len(headings(page)) == len(headings(english))
    assert english.name in page.read_text(encoding="utf-8")
    assert page.name in english.read_text(encoding="utf-8")


def headings(page):
    return re.findall(r"^#+ .+$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)


@each(PAGES)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if "://" not in target:
            place, _, part = target.partition("#")
            found = (page.parent / place).resolve() if place else page
            assert found.exists(), f"{name(page)}: {target} leads nowhere"
            assert not part or part in anchors(headings(found)), f"{target}: no such heading"


def anchor(heading):
    """The anchor that a heading gets where pages are shown: lower case, no punctuation, dashes for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-")


def anchors(found):
    """Those of all headings of a page: of several that are alike, each later one has a number."""
    seen, given = Counter(), set()
    for one in map(anchor, found):
        given.add(f"{one}-{seen[one]}" if seen[one] else one)
        seen[one] += 1
    return given


@pytest.fixture(scope="module")
def options():
    """Every option of the command: from the help of each verb, and of each method what its settings become."""
    calls = [[verb.__name__.rpartition(".")[2]] for verb in VERBS] + [
        ["data", part] for part in ("list", "check", "make")
    ]
    calls += [["adapt", "--method", method] for method in ("adda", "relational", "coot")]
    calls += [["adapt", "--online", "STREAM"]]
    methods = [method for room in ROOMS.values() for method in room.values()]
    found = {f"--{option_name(name).replace('_', '-')}" for method in methods for name in declared(method)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        for call in calls:
            with contextlib.redirect_stdout(io.StringIO()) as shown:
                assert main([*call, "--help"]) == 0
            found |= set(re.findall(r"--[a-z][a-z-]+", shown.getvalue()))
    assert "--adversarial-epochs" in found
    return found


@each(PAGES)
def test_options_exist(page, options):
    text = page.read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.lstrip("$ ").startswith(("pip ", "git ", "<!--")))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)) - OTHERS
    assert named <= options, f"{name(page)}: {sorted(named - options)}"


@each(PAGES)
def test_errors_and_names_in_pages_exist(page):
    known = {error.__name__ for error in _below(JuyiError)} | {"JuyiError"}
    named = set(re.findall(r"`(\w+Error)`", page.read_text(encoding="utf-8")))
    assert named <= known | {"AssertionError", "SystemExit"}


def _below(kind):
    return {kind, *(below for child in kind.__subclasses__() for below in _below(child))}


def test_no_tracked_file_names_a_machine_or_a_registry():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT / file for file in listed.stdout.split("\0") if file]
    if not files:  # no checkout: a copy of the sources
        files = [p for kind in ("*.py", "*.md", "*.toml", "*.txt") for p in ROOT.rglob(kind) if ".venv" not in p.parts]
    assert len(files) > 50
    roots = ("work", "home", "root", "Users", "tmp")
    paths = re.compile(r"(?<![\w.~}])/(?:" + "|".join(roots) + r")/[\w.]")
    hosts = re.compile(
        "|".join(("py" + r"pi\.org", "python" + r"hosted", "download" + r"\.pytorch", r"index-" + "url"))
    )
    for file in files:
        if file.suffix in (".png", ".gif", ".gz") or not file.is_file():
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            for pattern in (paths, hosts):
                assert not pattern.search(line), f"{file.relative_to(ROOT)}, line {number}: {line.strip()[:120]}"


def test_pictures_are_small():
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert pictures
    assert all(picture.stat().st_size < 250_000 for picture in pictures)

"""A page that runs an exported model on pictures, in the browser: one file, with the runtime in it, without network."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from juyi.portable import OnnxModel
from juyi.report.markup import escape, script_json
from juyi.report.page import fingerprint, head_of, title
from juyi.runs.files import write_text
from juyi.runs.folder import RunFolder

PAGE = "model.html"
"""What the page is called, beside the model's file."""
LARGEST_PAD = 64
"""On images of one channel up to this side a person can also draw."""


def write_model_page(run: RunFolder) -> Path | None:
    """Write the page that runs the exported model of a run on pictures that a person drops, chooses, or draws.

    The page is one file, beside the model's: onnxruntime-web (its WebAssembly, packed), the model, the scripts.  Its
    content policy forbids it to load or to send anything.  Pictures are brought to the model's size and channels as
    Python does it.

    Args:
        run: a run whose model was exported (`juyi.export.run`); the file that is advised is taken.

    Returns:
        The page; None where the model takes no images of one or three channels, or answers nothing, being a backbone.

    Raises:
        SettingError: the exported file is gone, or damaged.
        WriteError: the page cannot be written.
    """
    record = run.read()
    found = record["export"]
    if not found["has_page"]:
        return None
    path = run.path / found["files"][found["use"]]["path"]
    model = OnnxModel(path)
    shape = [length for length in model.shape if length is not None]
    page: Path = path.with_name(PAGE)
    write_text(page, render_model_page(path.read_bytes(), shape, model.classes, title(record)))
    return page


def render_model_page(model: bytes, shape: Sequence[int], classes: Sequence[str] | None, name: str) -> str:
    """Assemble the page."""
    here = files("juyi.report")
    runtime = gzip.decompress(here.joinpath("onnxruntime/ort.wasm.bundle.min.mjs.gz").read_bytes()).decode()
    wasm = here.joinpath("onnxruntime/ort-wasm-simd-threaded.wasm.gz").read_bytes()
    behaviour = here.joinpath("model_page.js").read_text(encoding="utf-8")
    script = f"{_named(runtime)}\n{behaviour}"
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; "
        f"script-src '{fingerprint(script)}' 'wasm-unsafe-eval'"
    )
    said = {"shape": list(shape), "classes": None if classes is None else list(classes)}
    parts = {
        "model": ("application/json", script_json(said)),
        "runtime": ("application/octet-stream", base64.b64encode(wasm).decode()),
        "weights": ("application/octet-stream", base64.b64encode(gzip.compress(model, mtime=0)).decode()),
    }
    data = "".join(f'<script type="{kind}" id="{name}">{text}</script>' for name, (kind, text) in parts.items())
    foot = (
        "<footer>Made by Juyi. This page is one file and loads nothing; what you show it stays here. It holds "
        "onnxruntime-web (Microsoft, MIT licence).</footer>"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head_of(name, policy)}</head>'
        f"<body><main>{_body(shape, name)}{foot}</main>{data}"
        f'<script type="module">{script}</script></body></html>\n'
    )


def _named(runtime: str) -> str:
    """Give the module's exports a name that the script after it knows, since a module in a page exports to no one."""
    exports = re.search(r"export\{([^}]*)\};?\s*(//[^\n]*\s*)?$", runtime)
    assert exports
    names = {new: old for old, _, new in (pair.partition(" as ") for pair in exports[1].split(","))}
    wanted = ", ".join(f"{name}: {names[name]}" for name in ("InferenceSession", "Tensor", "env"))
    return f"{runtime[: exports.start()]}\nconst ort = {{ {wanted} }};"


def _body(shape: Sequence[int], name: str) -> str:
    channels, height, width = shape
    pad: Any = ""
    if channels == 1 and max(height, width) <= LARGEST_PAD:
        pad = (
            '<section id="draw" aria-labelledby="draw-title"><h2 id="draw-title">Draw one</h2><div class="drawing">'
            f'<canvas id="pad" width="{10 * width}" height="{10 * height}" aria-label="a place to draw, white on '
            'black"></canvas><div><ul class="cards" id="drawn" aria-live="polite"></ul>'
            '<button type="button" id="clear">Clear</button></div></div></section>'
        )
    sizes = f"{width} × {height} pixels, {'grey' if channels == 1 else 'in colour'}"
    return (
        '<header><p class="brand"><b>Juyi</b> <span lang="zh">举一反三</span></p>'
        f"<h1>{escape(name)}</h1></header>"
        '<section class="verdict none" aria-labelledby="try-title"><h2 id="try-title">Try the model on your pictures'
        f'</h2><p class="sentence" id="state" role="status">Starting…</p><p class="what">It sees {sizes}; other '
        "pictures are brought to that.</p></section>"
        f'{pad}<section id="show" aria-label="Pictures"><label class="drop" id="drop">'
        "Drop pictures here, or choose some "
        '<input type="file" id="pictures" accept="image/*" multiple disabled></label>'
        '<ul class="cards" id="answers" aria-live="polite"></ul></section>'
    )

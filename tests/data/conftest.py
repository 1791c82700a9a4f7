"""What the tests of data share: a cache folder of their own, and small sets written on the spot."""

import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

SETS = os.environ.get("JUYI_DATA")


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path_factory):
    """No test reads or writes the user's own folders; a test of real data asks for `real_data`."""
    monkeypatch.setenv("JUYI_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("JUYI_DATA", raising=False)


@pytest.fixture
def real_data(monkeypatch):
    if not SETS:
        pytest.skip("JUYI_DATA is not set, so there are no real data sets to read")
    monkeypatch.setenv("JUYI_DATA", SETS)
    return Path(SETS)


def encode(array, form="PNG", **options):
    """Encode pixels H×W or H×W×C."""
    buffer = io.BytesIO()
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def picture():
    return encode


@pytest.fixture
def write_image():
    def write(path, array, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        form = {".jpg": "JPEG", ".tif": "TIFF", ".gif": "GIF"}.get(path.suffix, "PNG")
        path.write_bytes(encode(array, form, **options))
        return path

    return write


@pytest.fixture
def write_parquet():
    def write(path, columns, class_names=None):
        import json

        table = pa.table(columns)
        if class_names is not None:
            features = {name: {"_type": "ClassLabel", "names": names} for name, names in class_names.items()}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=2)
        return path

    return write


@pytest.fixture
def grey():
    """Give n different grey images, N×H×W."""
    return lambda n, height=4, width=5: (
        (np.arange(n * height * width, dtype=np.int64) % 251).astype(np.uint8).reshape(n, height, width)
    )

"""Write the app that Flower sends to its nodes: four short files, the same for everybody, and one of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import juyi
from juyi.errors import RunFolderError
from juyi.runs.files import write_json, write_text

PACKAGE = "juyi_federation"

PROJECT = f"""[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "juyi-federation"
version = "{{version}}"
description = "Personal models with Juyi: each client learns where its rows are"
license = "Apache-2.0"
dependencies = []

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "juyi"

[tool.flwr.app.components]
serverapp = "{PACKAGE}.server:app"
clientapp = "{PACKAGE}.client:app"
"""

SERVER = '''"""The server: what it does is Juyi's, what it is to do stands in federation.json."""

from pathlib import Path

from juyi.personalize.flower.server import server_app
from juyi.report import write_progress

app = server_app(Path(__file__).with_name("federation.json"), show=write_progress)
'''

CLIENT = '''"""A client: its rows, and where it keeps what is its own, are said where its node is started."""

from juyi.personalize.flower.client import client_app

app = client_app()
'''


def make_app(folder: Path, settings: dict[str, Any]) -> None:
    """Write an app that `flwr run` takes.

    Args:
        folder: where to; it must not be there, or be an app of Juyi's.
        settings: what the server reads.

    Raises:
        RunFolderError: the folder holds something else.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / PACKAGE).is_dir())):
        raise RunFolderError(f"{folder}: holds something else; name another folder with --make-app")
    package = folder / PACKAGE
    write_text(folder / "pyproject.toml", PROJECT.format(version=juyi.__version__))
    write_text(package / "__init__.py", '"""Personal models with Juyi, on Flower."""\n')
    write_text(package / "server.py", SERVER)
    write_text(package / "client.py", CLIENT)
    write_json(package / "federation.json", settings)

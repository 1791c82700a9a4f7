"""Write what several machines need: the app that Flower sends to its nodes, certificates, keys, and how all is started.

The app is four short files, the same for everybody, and one of settings; nothing in it is made from data but names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from juyi.errors import RunFolderError, SettingError
from juyi.personalize.flower.setup import own_version
from juyi.runs.files import write_json, write_text

PACKAGE = "juyi_federation"
PORT = 8000
"""Where the server listens."""

PROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "juyi-federation"
version = "{version}"
description = "Personal models with Juyi: each client learns where its rows are"
license = "Apache-2.0"
dependencies = []

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "juyi"

[tool.flwr.app.components]
serverapp = "juyi_federation.server:app"
clientapp = "juyi_federation.client:app"
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

QUIET = "export FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1"

START = """#!/bin/sh
# At the server: Flower's SuperLink, over TLS, for nodes whose keys it knows and no others.  sh start.sh [ADDRESS]
set -eu
cd "$(dirname "$0")/.."
{quiet} FLWR_HOME="$PWD/server/flower"
listen=${{1:-{every}}} near={name}  # by which the certificate knows it
case $listen in 0.0.0.0 | :: | 127.* | ::1 | localhost) near=localhost ;; esac
mkdir -p server/flower
printf '[superlink.server]\\naddress = "%s:{port}"\\nroot-certificates = "%s"\\n' "$near" "$PWD/server/ca.crt" \\
    >server/flower/config.toml
flower-superlink --host "$listen" --port {port} --enable-supernode-auth \\
    --disable-runtime-dependency-installation \\
    --ssl-ca-certfile server/ca.crt --ssl-certfile server/server.crt --ssl-keyfile server/server.key &
trap 'kill $!' INT TERM
for key in server/client-*.pub; do
    until flwr supernode register "$key" server >server/register.log 2>&1; do
        kill -0 $! 2>/dev/null || exit 1
        sleep 1
    done
done
echo "the server is ready"
wait
"""

RUN = """#!/bin/sh
# At the server: run, or go on with a run that was stopped.  sh run.sh
set -eu
cd "$(dirname "$0")/.."
{quiet} FLWR_HOME="$PWD/server/flower"
exec flwr run app server --stream
"""

NODE = """#!/bin/sh
# At a client: Flower's SuperNode.  sh start.sh NAME DATA [STATE] [OPTION=VALUE ...], such as label='"species"'
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
name=$1 data=$2 state=${{3:-$here/state}}
shift; shift; [ $# -eq 0 ] || shift
{quiet} FLWR_HOME="$here/flower"
exec flower-supernode --superlink {address} --root-certificates "$here/ca.crt" \\
    --auth-supernode-private-key "$here/node.key" --port "${{NODE_PORT:-9094}}" \\
    --node-config "client=\\"$name\\" data=\\"$data\\" state=\\"$state\\" $*"
"""


def make_app(folder: Path, settings: dict[str, Any]) -> None:
    """Write an app that `flwr run` takes.

    Args:
        folder: where to.
        settings: what the server reads.
    """
    package = folder / PACKAGE
    write_text(folder / "pyproject.toml", PROJECT.format(version=own_version()))
    write_text(package / "__init__.py", '"""Personal models with Juyi, on Flower."""\n')
    write_text(package / "server.py", SERVER)
    write_text(package / "client.py", CLIENT)
    write_json(package / "federation.json", settings)


def make_federation(folder: Path, settings: dict[str, Any], host: str) -> None:
    """Write all that several machines need: `app`, `server`, and `client-1` … to be taken to the clients.

    Args:
        folder: where to; it must not be there, or be empty.
        settings: what the server reads.
        host: the name or address by which the clients reach the server, and `:PORT` if it is not 8000.

    Raises:
        RunFolderError: the folder holds something.
        SettingError: the host is none.
    """
    from juyi.personalize.flower.certificates import write_certificates, write_node_key

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunFolderError(f"{folder}: is not empty; name another folder with --make-app")
    found = re.fullmatch(r"([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::([0-9]{1,5}))?", host)
    if not found or not 0 < (port := int(found[2] or PORT)) < 65536:
        raise SettingError(f"--host {host}: is no name or address; give one such as server.example.org:8000")
    name = found[1]
    server = folder / "server"
    make_app(folder / "app", settings)
    write_certificates(server, list(dict.fromkeys([name.strip("[]"), "localhost", "127.0.0.1"])))
    write_text(
        server / "start.sh", START.format(quiet=QUIET, port=port, name=name, every="::" if ":" in name else "0.0.0.0")
    )
    write_text(server / "run.sh", RUN.format(quiet=QUIET))
    certificate = (server / "ca.crt").read_text()
    for number in range(1, int(settings["clients"]) + 1):
        client = folder / f"client-{number}"
        write_node_key(client / "node.key", server / f"client-{number}.pub")
        write_text(client / "ca.crt", certificate)
        write_text(client / "start.sh", NODE.format(quiet=QUIET, address=f"{name}:{port}"))

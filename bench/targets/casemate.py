"""Casemate, reached as a user reaches it: the command line and HTTP.

Everything these measurements take for granted about Casemate is in this file.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench.client import Endpoint
from bench.environment import HANDLERS, INTERPRETER, SOURCES
from bench.errors import DeployError, StartError
from bench.processes import ProcessId
from bench.results import CASEMATE_FORK, CASEMATE_INSTANCE, CASEMATE_REQUEST, TABLES
from bench.roles import processor_seconds
from bench.servers import Server, first_answer, free_port
from casemate.folder.folders import default_master_key

PROJECT = "bench"
PROGRAM = Path(sys.prefix) / "bin" / "casemate"
PYTHON = INTERPRETER.minor
START_TIMEOUT = 30.0
ADVISORIES = Path(__file__).parents[2] / "examples" / "advisories"
"""By which packages are judged: few, so that nothing is found that was not there yesterday."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A function to deploy: one of the handlers with these settings."""

    name: str
    handler: str = "plain"
    isolation: str = "request"
    keep: str = "5m"
    """How long the function zygote stays without an invocation."""
    fresh: str = ""
    """`process` has each call in a fork of its own also where processes are restored."""
    limits: str = ""
    """More limits, as the manifest writes them."""
    contract: str = ""
    """JSON Schema of what it is called with; without one, the default limits hold."""


def manifest(project: str, plans: Sequence[Plan]) -> str:
    """Return the text of casemate.toml."""
    lines = ["[project]", f'name = "{project}"']
    for plan in plans:
        lines += ["", f"[function.{plan.name}]", 'handler = "handler:handle"']
        lines += [f'source = "{plan.handler}"', f'python = "{PYTHON}"']
        more = f", {plan.limits}" if plan.limits else ""
        lines += [f'isolation = "{plan.isolation}"', f'limits = {{ keep = "{plan.keep}"{more} }}']
        if plan.contract:
            lines += [f'contract = "{plan.name}.json"']
        if plan.fresh:
            lines += [f'fresh = "{plan.fresh}"']
        if plan.handler == TABLES:
            lines += ['requirements = "requirements.txt"']
    return "\n".join(lines) + "\n"


def write_project(folder: Path, project: str, plans: Sequence[Plan]) -> None:
    """Lay out a project: the manifest, and one source folder for each handler used."""
    folder.mkdir(parents=True, exist_ok=True)
    for handler in {plan.handler for plan in plans}:
        (folder / handler).mkdir(exist_ok=True)
        shutil.copy(SOURCES / HANDLERS / f"{handler}.py", folder / handler / "handler.py")
    shutil.copy(SOURCES / HANDLERS / "requirements.txt", folder / "requirements.txt")
    for plan in plans:
        if plan.contract:
            (folder / f"{plan.name}.json").write_text(plan.contract, "utf-8")
    (folder / "casemate.toml").write_text(manifest(project, plans), "utf-8")


def environment(**more: str) -> dict[str, str]:
    """Return this environment, which may hold what the package index is reached with.

    Without settings of Python and Casemate, which would make the node another one.
    """
    own = ("PYTHON", "CASEMATE_", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)} | more


@functools.cache
def serve_options() -> tuple[str, ...]:
    """Return what has a node restore processes: an option, unless it does so by itself."""
    told = subprocess.run(
        [str(PROGRAM), "serve", "--help"],
        env=environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    words = told.stdout.split()
    return ("--restore",) if "--restore" in words else ()


class Node:
    """A node with its own data folder, which outlives a stop and ends with `close`."""

    def __init__(self) -> None:
        """Make the data folder: on disk, and with a path short enough for a socket's address."""
        self.folder = Path(tempfile.mkdtemp(prefix="cmbench-", dir="/var/tmp"))
        self.port = free_port()
        self.server: Server | None = None
        self.ready = False
        """True once the functions to compare are deployed."""
        self.failed = ""
        """Why they could not be."""
        self._key: str | None = None
        self._judges = False
        """True once it has advisories, without which it takes no packages."""

    def start(self) -> Server:
        """Start it. The first start waits for the key, which is shown only then."""
        command = [str(PROGRAM), "serve", "--json", "--data", str(self.folder / "data")]
        command += ["--port", str(self.port), *serve_options()]
        log = self.folder / "serve.log"
        self.server = Server(command, env=environment(), folder=self.folder, log=log)
        if self._key is None:
            self._key = self._first_key(self.server)
        return self.server

    def _first_key(self, server: Server) -> str:
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end and not server.ended():
            for line in server.log.read_text("utf-8", "replace").splitlines():
                if line.startswith("{") and line.endswith("}"):
                    said = json.loads(line)
                    if said.get("key") and urlsplit(said.get("url", "")).port == self.port:
                        return str(said["key"])
            time.sleep(0.02)
        raise StartError(f"`casemate serve` printed no url and key. Its output: {server.tail()}")

    def deploy(self, plans: Sequence[Plan], timeout: float, project: str = PROJECT) -> None:
        """Deploy functions as one project. Raises DeployError when it fails or takes too long."""
        source = self.folder / "project" / project
        write_project(source, project, plans)
        url = f"http://127.0.0.1:{self.port}"
        env = environment(CASEMATE_URL=url, CASEMATE_KEY=self._key or "")
        what = f"deploying {len(plans)} function{'s' * (len(plans) > 1)}"
        end = time.monotonic() + timeout
        if not self._judges and any(plan.handler == TABLES for plan in plans):
            env["CASEMATE_ADVISORIES"] = str(self.folder / "advisories")
            given = ("import", str(ADVISORIES), "--ecosystem", "PyPI", "--node")
            _done("importing advisories", ["advisories", *given], source, env, timeout)
            self._judges = True
        _done(what, ["deploy"], source, env, end - time.monotonic())

    def deploy_folder(self, folder: Path, timeout: float) -> None:
        """Deploy the project in a folder. Raises DeployError when it fails or takes too long."""
        url = f"http://127.0.0.1:{self.port}"
        env = environment(CASEMATE_URL=url, CASEMATE_KEY=self._key or "")
        _done("deploying a project", ["deploy"], folder, env, timeout)

    def endpoint(self, function: str, project: str = PROJECT) -> Endpoint:
        """Return where to invoke a function."""
        headers = (("Authorization", f"Bearer {self._key}"),)
        return Endpoint(port=self.port, path=f"/invoke/{project}/{function}", headers=headers)

    def processes(self) -> list[ProcessId]:
        """Return all its processes, gateway, supervisor, zygotes and instances."""
        return self.server.processes() if self.server else []

    def stop(self) -> None:
        """End it; the data stays."""
        if self.server:
            self.server.stop()
            self.server = None

    def close(self) -> None:
        """End it and remove its data, and the key to them, which is kept elsewhere."""
        self.stop()
        place = default_master_key((self.folder / "data").absolute())
        Path(place.removeprefix("file:")).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _done(
    what: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str], timeout: float
) -> None:
    """Run the command. Raises DeployError when it fails or takes more than `timeout` seconds."""
    try:
        result = subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise DeployError(f"{what} took more than {timeout:.0f} s") from error
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip()[-800:]
        raise DeployError(f"{what} ended with exit code {result.returncode}: {said}")


ISOLATIONS = {
    "request": (CASEMATE_REQUEST, "sandbox, fresh"),
    "fork": (CASEMATE_FORK, "sandbox, forked"),
    "instance": (CASEMATE_INSTANCE, "sandbox, reused"),
}
"""Name of the target and what separates one call from the next, by what a plan is made of."""


def _plan(handler: str, isolation: str) -> Plan:
    forked = isolation == "fork"
    return Plan(
        name=f"{handler}-{isolation}",
        handler=handler,
        isolation="request" if forked else isolation,
        fresh="process" if forked else "",
    )


class CasemateTarget:
    """One function of the shared node that holds all that are measured side by side with peers.

    A start is that of the node with its functions deployed before, to the first right answer.
    """

    def __init__(self, node: Node, handler: str, isolation: str) -> None:
        """Describe it; `isolation` is one of ISOLATIONS."""
        self.name, self.isolation = ISOLATIONS[isolation]
        self.handler = handler
        self._node, self._function = node, f"{handler}-{isolation}"

    @property
    def endpoint(self) -> Endpoint:
        """Return where to call it."""
        return self._node.endpoint(self._function)

    def prepare(self) -> None:
        """Deploy all functions, unless that was done or has failed before."""
        if self._node.failed:
            raise DeployError(self._node.failed)
        if self._node.ready:
            return
        try:
            self._node.start()
            self._node.deploy(
                [
                    _plan(handler, isolation)
                    for handler in ("plain", TABLES)
                    for isolation in ISOLATIONS
                ],
                timeout=120,
            )
            self._node.ready = True
        except (StartError, DeployError, OSError, ValueError) as error:
            self._node.failed = (
                f"the node could not be prepared; see above ({type(error).__name__})"
            )
            raise
        finally:
            self._node.stop()

    def start(self) -> float:
        """Start the node; return milliseconds to the first right answer."""
        return first_answer(self._node.start(), self.endpoint)

    def processes(self) -> list[ProcessId]:
        """Return all processes of the node."""
        return self._node.processes()

    def processor_seconds(self) -> dict[str, float]:
        """Return the seconds on a processor of the node's processes, by their kind."""
        return processor_seconds(self.processes())

    def stop(self) -> None:
        """End the node."""
        self._node.stop()

"""The peers: how each is started. All listen on the loopback interface only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.client import Endpoint
from bench.environment import HANDLERS, Environments, site_packages
from bench.environment import PEERS as FOLDER
from bench.processes import ProcessId
from bench.roles import processor_seconds
from bench.servers import Server, clean_environment, first_answer, free_port


class Launch(msgspec.Struct, frozen=True):
    """A command line and what it adds to the environment."""

    command: tuple[str, ...]
    env: dict[str, str] = {}


def _functions_framework(python: Path, app: Path, port: int) -> Launch:
    program = str(python.parent / "functions-framework")
    options = ("--target", "main", "--source", str(app / "adapter.py"))
    return Launch((program, *options, "--host", "127.0.0.1", "--port", str(port)))


def _functions_framework_asgi(python: Path, app: Path, port: int) -> Launch:
    return Launch((*_functions_framework(python, app, port).command, "--asgi"))


def _func_python(python: Path, app: Path, port: int) -> Launch:
    command = (str(python), str(app / "adapter.py"))
    return Launch(command, {"LISTEN_ADDRESS": f"127.0.0.1:{port}"})


def _fork_per_request(python: Path, app: Path, port: int) -> Launch:
    arguments = (str(port), str(app), str(site_packages(python)))
    return Launch((str(python), str(app / "adapter.py"), *arguments))


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A platform to measure against."""

    name: str
    environment: str
    adapter: str
    isolation: str
    launch: Callable[[Path, Path, int], Launch]
    process_for_each_function: bool = True
    """False if one process serves any number of functions."""


PEERS = (
    Peer(
        name="functions-framework",
        environment="functions_framework",
        adapter="functions_framework",
        isolation="none",
        launch=_functions_framework,
    ),
    Peer(
        name="functions-framework --asgi",
        environment="functions_framework",
        adapter="functions_framework_asgi",
        isolation="none",
        launch=_functions_framework_asgi,
    ),
    Peer(
        name="functions-framework --asgi +uvloop",
        environment="functions_framework_asgi_uvloop",
        adapter="functions_framework_asgi",
        isolation="none",
        launch=_functions_framework_asgi,
    ),
    Peer(
        name="func-python",
        environment="func_python",
        adapter="func_python",
        isolation="none",
        launch=_func_python,
    ),
    Peer(
        name="fork-per-request",
        environment=HANDLERS,
        adapter="fork_per_request",
        isolation="bubblewrap",
        launch=_fork_per_request,
        process_for_each_function=False,
    ),
)
"""`+uvloop`: with uvloop and httptools beside it, which uvicorn picks up by itself; installing
functions-framework alone does not bring them."""


class PeerTarget:
    """A peer with one handler."""

    def __init__(self, peer: Peer, handler: str, environments: Environments, copy: int = 0) -> None:
        """Describe it; `copy` tells several of the same apart."""
        self.name, self.handler, self.isolation = peer.name, handler, peer.isolation
        self._peer, self._environments, self._copy = peer, environments, copy
        self._python = self._app = Path()
        self._server: Server | None = None
        self.endpoint = Endpoint(port=1)

    def prepare(self) -> None:
        """Install the environment and lay out the code."""
        self._python = self._environments.python(self._peer.environment)
        self._app = self._environments.app(self._peer.adapter, self.handler, self._python)

    def start(self) -> float:
        """Start it on a free port; return milliseconds to the first right answer."""
        self.endpoint = Endpoint(port=free_port())
        launch = self._peer.launch(self._python, self._app, self.endpoint.port)
        log = FOLDER / "logs" / f"{self._app.name}-{self._copy}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self._server = Server(
            launch.command, env=clean_environment(**launch.env), folder=self._app, log=log
        )
        return first_answer(self._server, self.endpoint)

    def processes(self) -> list[ProcessId]:
        """Return all its processes."""
        return self._server.processes() if self._server else []

    def processor_seconds(self) -> dict[str, float]:
        """Return the seconds on a processor of all its processes together."""
        return processor_seconds(self.processes(), lambda _: "server")

    def stop(self) -> None:
        """End it."""
        if self._server:
            self._server.stop()
            self._server = None

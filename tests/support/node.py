"""A real node as a child process: supervisor, gateway, sandboxes, on a port of its own."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

import httpx2

from casemate.advisories import place_of_node
from casemate.manifest import load
from casemate.model.errors import ProtectionMissingError
from casemate.model.function import FunctionSpec, Project
from casemate.restorer.probe import restoring_problem
from casemate.supervisor.function_ids import function_ids
from support import read_cli
from support.advisories import import_small
from support.built_bundles import packed
from support.processes import part_of
from support.servers import reserved_port
from support.signing import attest

MANIFEST = """
[project]
name = "{project}"
[function.{name}]
handler = "{handler}"
{settings}
[function.{name}.limits]
{limits}
{routes}
"""
UNGUARDED = """
[[function.{name}.guard]]
sink = "*"
location = "*"
reason = "what is tested is what holds behind the sink guard"
[[function.{name}.errors]]
place = "*"
what = "*"
reason = "what is tested tells how the sandbox refuses"
"""
"""Lets a test's events choose what a function does: paths, addresses, names of its functions, and
lets it answer with what it met."""

_RECORD_SECONDS = 30.0


@functools.cache
def default_risks() -> tuple[str, ...]:
    """Return what a node on this host needs to be told: an ordinary user may have no ids to give.

    Root's must be there: a test that passes without them would prove nothing.
    """
    if os.geteuid() == 0:
        return ()
    try:
        function_ids(None)
    except ProtectionMissingError:
        return ("--accept-risk", "shared-uid")
    return ()


class TestNode:
    """One `casemate serve`. `url` and `key` are there once it is ready."""

    __test__ = False
    ways: tuple[str, ...] = ()
    """Arguments for every node of a run: the same tests hold in both ways."""
    launcher: tuple[str, ...] = (sys.executable, "-m", "casemate.cli.main")

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.arguments = arguments
        self.url = ""
        self.key = ""
        self.owner_key = ""
        """The owner's where `key` is somebody else's."""
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self.client = httpx2.Client(timeout=60)
        self.errors = data.parent / f"{data.name}.stderr"
        self.master_key = data.absolute().parent / f"{data.name}.key"
        """Used unless the arguments name another source: the default is outside of any test."""

    @property
    def restores(self) -> bool:
        """Whether it restores instances after a call, instead of forking one for each."""
        said = [one for one in (*self.ways, *self.arguments) if one.endswith("restore")]
        return said[-1:] != ["--no-restore"] and not restoring_problem()

    def start(self) -> TestNode:
        stderr = self.errors.open("a")
        arguments = self.arguments
        self.port = self.port or reserved_port()
        if "--playbooks" not in arguments:
            # Tests attack one function again and again.
            arguments = ("--no-playbooks", *arguments)
        if "--master-key" not in arguments:
            arguments = ("--master-key", f"file:{self.master_key}", *arguments)
        self.process = self._started(
            [
                *("serve", "--json"),
                *("--data", str(self.data), "--port", str(self.port), *default_risks()),
                *(way for way in self.ways if way not in arguments),
                *arguments,
            ],
            stderr,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait(45)
            raise RuntimeError(f"the node did not start ({code}): {self.errors.read_text()}")
        ready = json.loads(line)
        self.url = ready["url"]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.key = ready["key"] or self.key
        self.client.headers["authorization"] = f"Bearer {self.key}"
        return self

    def _started(self, arguments: list[str], stderr: TextIO) -> subprocess.Popen[str]:
        """Start `casemate serve`. Its usual launcher may have read the command line already."""
        usual = self.launcher is TestNode.launcher
        supervisor = read_cli.read(arguments) if usual else None
        if supervisor is None:
            return subprocess.Popen(
                [*self.launcher, *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        try:
            return subprocess.Popen(
                supervisor.command,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=supervisor.environment,
                pass_fds=(supervisor.options,),
            )
        finally:
            os.close(supervisor.options)

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(45)
        self.process.stdout.close()
        self.process = None
        return code

    def deploy(
        self,
        source: str | Path,
        *,
        name: str = "f",
        project: str = "t",
        settings: str = "",
        limits: str = "",
        routes: str = "",
        grants: str = "",
        resources: str = "",
        handler: str = "app:handler",
        approve: bool = False,
        unguarded: bool = False,
        files: dict[str, str] | None = None,
        expect: int = 201,
    ) -> dict[str, Any]:
        """Build and deploy a function from the text of `app.py` or from a project folder.

        `grants` are the keys of its table of grants, `resources` whole tables such as
        `[bucket.x]`, `files` the contents of others beside `app.py`; `approve` lets it have more
        than before.
        """
        if grants:
            routes += f"\n[function.{name}.grants]\n{grants}"
        if unguarded:
            routes += UNGUARDED.format(name=name)
        routes += f"\n{resources}"
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            if isinstance(source, Path):
                manifest = source / "casemate.toml"
                root = source
            else:
                for file, text in {"app.py": source, **(files or {})}.items():
                    (root / file).write_text(text)
                manifest = root / "casemate.toml"
                manifest.write_text(
                    MANIFEST.format(
                        project=project,
                        name=name,
                        handler=handler,
                        settings=settings,
                        limits=limits,
                        routes=routes,
                    )
                )
            loaded = load(manifest)
            return self.publish(root, loaded, loaded.functions[0], approve=approve, expect=expect)

    def deploy_project(
        self, manifest: str, source: str, *, files: dict[str, str] | None = None
    ) -> None:
        """Build and deploy every function of a manifest; all are in the text of `app.py`.

        `files` are the contents of others by name.
        """
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            (root / "app.py").write_text(source)
            for name, text in (files or {}).items():
                (root / name).write_text(text)
            (root / "casemate.toml").write_text(manifest)
            loaded = load(root / "casemate.toml")
            for spec in loaded.functions:
                self.publish(root, loaded, spec, approve=True)

    def publish(
        self, root: Path, loaded: Project, spec: FunctionSpec, *, approve: bool, expect: int = 201
    ) -> dict[str, Any]:
        """Build and deploy one function of a project."""
        built = packed(root, loaded, spec)
        uploaded = self.client.put(
            f"{self.url}/api/v1/bundles/{built.digest}",
            content=built.archive,
            headers={"content-type": "application/gzip"},
        )
        assert uploaded.status_code in (200, 201, 204), uploaded.text
        attest(self.client, self.url, built.manifest, built.sbom)
        place = place_of_node(self.data)
        if built.manifest.packages and not place.database.exists():
            import_small(place)
        answer = self.client.post(
            f"{self.url}/api/v1/functions/{loaded.name}/{spec.name}/versions",
            json={"digest": built.digest, "approve": approve},
        )
        assert answer.status_code == expect, answer.text
        return answer.json()

    def invoke(self, event: Any = None, *, function: str = "t/f", **rest: Any) -> httpx2.Response:
        return self.client.post(f"{self.url}/invoke/{function}", json=event, **rest)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"{self.url}/api/v1{path}", params=query or None)
        answer.raise_for_status()
        return answer.json()

    def error(self, response: httpx2.Response) -> dict[str, Any]:
        """Return the owner's view of a sealed error."""
        return self._recorded(f"/errors/{response.json()['error_id']}")

    def outcome(self, response: httpx2.Response) -> str:
        """Return how the invocation behind a response ended."""
        return self._recorded(f"/invocations/{response.headers['x-request-id']}")["outcome"]

    def _recorded(self, path: str) -> Any:
        """Return what is on record of a call: what may hold a secret is written a little later."""
        deadline, pause = time.monotonic() + _RECORD_SECONDS, 0.01
        while True:
            try:
                return self.get(path)
            except httpx2.HTTPStatusError as error:
                late = time.monotonic() > deadline
                if late or error.response.status_code != httpx2.codes.NOT_FOUND:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 0.2)

    def processes(self) -> list[int]:
        """Return every process below the node's supervisor, the supervisor included."""
        assert self.process is not None
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            todo += [int(child) for child in children]
        return found

    def part(self, name: str) -> int | None:
        """Return the pid of one of its processes by the name of its package, if it runs."""
        return part_of(self.process.pid, name) if self.process is not None else None

    def wait_until(self, condition: Any, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {seconds} s; node says: {self.errors.read_text()}"
                )
            time.sleep(0.05)

    def close(self) -> None:
        if self.process is not None:
            self.stop()
        self.client.close()


def cgroups_of(pid: int) -> list[Path]:
    """Return the control group folders that a supervisor's pid names."""
    found = []
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        found += [Path(root) / f for f in folders if f == f"casemate-{pid}"]
        if root.count("/") > 5:
            folders.clear()
    return found

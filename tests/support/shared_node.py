"""One node for all modules of a test process that only deploy and call functions of their own.

To start and stop one costs more processor time than most such modules.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import httpx2
import pytest

from support.node import TestNode
from support.processes import Process, children, command, process


class SharedNode:
    """Lends a node to one module after another, and takes another where a module broke it.

    A module gets it without functions, secrets, data of projects and tokens. What was recorded of
    earlier modules is there. Versions of a name go on: a module that says which one it expects has
    names that no other has.
    """

    def __init__(self, started: Callable[[], TestNode]) -> None:
        self._started = started
        self._node: TestNode | None = None
        self._own: dict[str, Process] = {}

    def lend(self) -> TestNode:
        """Return a node that runs, without what earlier modules deployed and kept."""
        if self._node is not None and self.broken():
            self.close()
        if self._node is None:
            self._node = self._started()
            self._own = _services(self._node)
        self._node.client.close()
        self._node.client = httpx2.Client(
            timeout=60, headers={"authorization": f"Bearer {self._node.key}"}
        )
        return self._node

    def broken(self) -> str:
        """Return which of its processes are not those it was started with; nothing if all are."""
        ended = [name for name, one in self._own.items() if not one.lives]
        return f"ended of the node that modules share: {', '.join(ended)}" if ended else ""

    def take_back(self) -> None:
        """Empty it. A node that does not let itself be emptied, or is broken, is not lent again."""
        node = self._node
        assert node is not None
        try:
            empty(node)
            # One that was killed a moment ago is seen to be dead by now.
            if broken := self.broken():
                raise RuntimeError(broken)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        node, self._node, self._own = self._node, None, {}
        if node is not None:
            node.close()


def empty(node: TestNode) -> None:
    """Remove all functions and secrets, the data of projects that have some, and others' tokens."""
    functions, secrets = node.get("/functions")["functions"], node.get("/secrets")["secrets"]
    paths = [f"/functions/{one['project']}/{one['name']}" for one in functions]
    paths += [f"/secrets/{one['project']}/{one['name']}" for one in secrets]
    for project in sorted({one["project"] for one in (*functions, *secrets)}):
        for where in ("buckets", "tables", "queues"):
            for kind, found in node.get(f"/{where}/{project}").items():
                paths += [f"/{kind}/{project}/{one['name']}" for one in found]
    own = node.key.split("_")[1]
    tokens = [one for one in node.get("/tokens")["tokens"] if one.get("revoked_at") is None]
    paths += [f"/tokens/{one['id']}" for one in tokens if one["id"] != own]
    for path in paths:
        node.client.delete(f"{node.url}/api/v1{path}").raise_for_status()


def _services(node: TestNode) -> dict[str, Process]:
    """Return the node's processes by the name of their module: those that live as long as it."""
    assert node.process is not None
    found = {"supervisor": process(node.process.pid)}
    for pid in children(node.process.pid):
        for word in command(pid):
            if word.startswith("casemate.") and word.endswith(".process"):
                found[word] = process(pid)
    return found


SHARED = pytest.StashKey[SharedNode]()


@pytest.fixture(scope="session")
def shared_node(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[SharedNode]:
    """The node of all modules that set SHARES_NODE."""
    shared = SharedNode(lambda: TestNode(tmp_path_factory.mktemp("shared") / "data").start())
    pytestconfig.stash[SHARED] = shared
    yield shared
    shared.close()


@pytest.fixture
def no_shared_node(pytestconfig: pytest.Config) -> None:
    """End the node that modules share: for a test that looks at the whole machine."""
    if (shared := pytestconfig.stash.get(SHARED, None)) is not None:
        shared.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test fail that breaks the node which modules share."""
    result = yield
    shared = item.config.stash.get(SHARED, None)
    if shared is not None and getattr(item.module, "SHARES_NODE", False) and shared.broken():
        pytest.fail(shared.broken())
    return result

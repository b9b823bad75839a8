"""The control service: nothing is stored that does not start, nothing is widened unapproved."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.admission import Catalogue
from casemate.admission.grants import WideningError
from casemate.advisories import Place
from casemate.api.control import Deployment, StartFailedError
from casemate.capabilities import UseCounter, use_of
from casemate.data.errors import DataFullError
from casemate.delivery.subscriptions import Subscriptions
from casemate.dispatch.dispatcher import Name
from casemate.gateway import aliases, start_places, ways_back
from casemate.gateway import deploying as gateway_deploying
from casemate.gateway.bundles import Known
from casemate.gateway.control import NodeControl
from casemate.gateway.turns import MAX_STARTS, MAX_STARTS_OF_CALLER
from casemate.model.bundle import BundleManifest, LockedPackage
from casemate.model.caps import Caps
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import LIVE, AliasTarget, NewVersion, TrialTerms, Version
from casemate.model.errors import (
    CasemateError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from casemate.model.facts import Actor, FunctionQuarantined, FunctionReleased
from casemate.model.function import Limits, named_resources
from casemate.model.grant import BucketSpec, Grant, GrantKind, QueueSpec, Resources
from casemate.model.licence import LicenceRules
from casemate.model.processes import GatewayConfig
from casemate.model.restriction import RestrictionKind
from casemate.model.route import RouteClaim
from casemate.model.signing import SigningRule
from casemate.model.still import asked_again
from casemate.model.trigger import QueueTrigger, ScheduleTrigger
from casemate.nodes import Decisions
from casemate.operations.advisories import ExceptAdvisory
from casemate.operations.declaration import Operation
from casemate.operations.deployments import KeepVersions
from casemate.operations.functions import PlannedFunction, SetAlias, Target
from casemate.operations.grants import ListUses
from casemate.operations.inboxes import GiveUpInbox, Subscribe
from casemate.operations.quarantine import QuarantineFunction, ReleaseFunction
from casemate.operations.records import (
    ListDenials,
    ListErrors,
    ListInvocations,
    ReadLogs,
    ShowError,
    ShowInvocation,
)
from casemate.operations.resources import EnsureResources, ShowResources
from casemate.operations.trials import EndTrial, StartTrial
from casemate.recorder.denials import DenialRecorder
from casemate.restrictions import Restrictions
from casemate.sandbox.frames import ErrorHead
from casemate.sandbox.meter import Meters
from casemate.sandbox.opening import ImportFailedError
from casemate.store.errors import StoreError
from casemate.supply import Admitted, UnsignedError
from casemate.vulnerabilities import Gate, LicenceError, VulnerableError
from support.advisories import import_records, import_small, record
from support.core import MemoryStore, spec
from support.facts import ADA, EVE, stream
from support.signing import AnybodysWord

READ = Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read",))
WRITE = Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read", "write"))
RESOURCES = Resources(buckets=(BucketSpec(name="uploads"),))


def pointing(name: str, weights: dict[int, int]) -> SetAlias:
    targets = tuple(Target(version=number, weight=weight) for number, weight in weights.items())
    return SetAlias(project="t", function="f", name=name, targets=targets)


class Zygote:
    def __init__(self, version: Version) -> None:
        self.version = version
        self.closed = False
        self.approved = True

    def let_out(self) -> None:
        self.approved = True

    def close(self) -> None:
        self.closed = True


class Client:
    """Opens zygotes, at once or when `gate` is set."""

    zygotes = 3

    def __init__(self) -> None:
        self.opened: list[Zygote] = []
        self.prepared: list[str] = []
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.opening = 0
        self.meters = Meters(asyncio.get_running_loop())
        """Of calls of which it is not known what they used: none."""

    async def open(self, version: Version, *, approved: bool = True) -> Zygote:
        self.opening += 1
        if self.gate is not None:
            await self.gate.wait()
        self.opening -= 1
        if self.fault is not None:
            raise self.fault
        zygote = Zygote(version)
        zygote.approved = approved
        self.opened.append(zygote)
        return zygote

    def prepare(self, minor: str) -> None:
        self.prepared.append(minor)


class Bundles:
    """Manifests by digest."""

    def __init__(self) -> None:
        self.manifests: dict[str, BundleManifest] = {}
        self.loaded: set[str] = set()
        self.resealed = 0
        self.puts: list[str] = []
        self.full = False

    async def manifest(self, digest: str) -> BundleManifest:
        if digest not in self.manifests:
            raise NotFoundError("There is no such bundle.")
        return self.manifests[digest]

    async def read(self, digest: str, reading: Any) -> Any:
        return reading(Path("/nowhere"), await self.manifest(digest))

    async def is_kept(self, digest: str) -> bool:
        return digest in self.manifests or digest in self.puts

    async def is_known(self, digest: str) -> bool:
        return await self.is_kept(digest)

    async def remove(self, digest: str) -> None:
        self.manifests.pop(digest, None)

    async def load(self, used: set[str], unused_since: float) -> dict[str, int]:
        self.loaded = set(used)
        return {}

    def known(self, digest: str) -> Known | None:
        return None

    async def require_room(self, size: int) -> None:
        if self.full:
            raise UnavailableError("The disk is full.")

    async def put(self, digest: str, archive: Path, base: str | None = None) -> None:
        if archive.read_bytes() == b"junk":
            raise InvalidInputError("not that bundle")
        self.puts.append(digest)

    async def rekey(self) -> None:
        self.resealed += 1


class Data:
    """Keeps what was declared of each project's resources."""

    def __init__(self) -> None:
        self.ensured: list[tuple[str, Resources]] = []
        self.subscribed: dict[str, list[tuple[str, str]]] = {}
        self.fault: Exception | None = None
        self.given_up: list[str] = []
        self.present: dict[str, Resources] = {}

    async def change(self, operation: EnsureResources | Subscribe | GiveUpInbox) -> int | None:
        if isinstance(operation, GiveUpInbox):
            if self.fault is not None:
                raise self.fault
            self.given_up.append(operation.function)
            return 0
        if isinstance(operation, Subscribe):
            self.subscribed[operation.project] = [
                (s.function, s.trigger.name if s.trigger else "") for s in operation.subscriptions
            ]
            return None
        if self.fault is not None:
            raise self.fault
        self.ensured.append((operation.project, operation.resources))
        self.present[operation.project] = operation.resources
        return None

    async def read(self, operation: Operation[Any]) -> Any:
        """Show what was ensured last; what is in there cannot be read."""
        if isinstance(operation, ShowResources):
            return self.present.get(operation.project, Resources())
        raise UnavailableError("It cannot be read.")


class Delivery:
    """Counts how often it was started and told that something has changed."""

    def __init__(self) -> None:
        self.started = self.updated = 0

    def start(self) -> None:
        self.started += 1

    def update(self) -> None:
        self.updated += 1


class Redactor:
    """Counts how often all that was recorded was waited for."""

    def __init__(self) -> None:
        self.flushed = 0

    async def flush(self) -> None:
        self.flushed += 1


class Dispatcher:
    busy, spares, waiting, reserved_memory, resting_memory = 1, 2, 3, 4, 5

    def __init__(self) -> None:
        self.adopted: list[tuple[Version, Zygote]] = []
        self.kept: list[set[Name]] = []
        self.warm: list[tuple[int, int]] = []
        self.contained: frozenset[tuple[str, str]] = frozenset()
        self.killed: list[tuple[str, str]] = []

    def contain(self, functions: frozenset[tuple[str, str]]) -> None:
        self.contained = functions

    def kill(self, project: str, function: str) -> None:
        self.killed.append((project, function))

    def adopt(self, version: Version, zygote: Zygote) -> None:
        self.adopted.append((version, zygote))

    def retire(self, keep: set[Name]) -> None:
        self.kept.append(keep)

    def spares_by_function(self) -> Counter[tuple[str, str]]:
        return Counter({("t", "f"): sum(count for _, count in self.warm)})

    def keep_warm(self, wanted: list[tuple[Version, int]]) -> None:
        self.warm = [(version.number, count) for version, count in wanted]


async def at_once() -> None:
    """Have what was told on record."""


class Node:
    """A control service whose store, unless it is given, sandbox and dispatcher are in memory."""

    def __init__(
        self,
        folder: Path,
        bundles: Bundles | None = None,
        store: Any = None,
        decisions: Decisions | None = None,
    ) -> None:
        caps = Caps(memory=1 << 30, tmp=1 << 30, concurrency=16, warm=4)
        self.folder, self.bundles = folder, bundles or Bundles()
        self.data, self.redactor, self.delivery = Data(), Redactor(), Delivery()
        self.store, self.client, self.dispatcher = MemoryStore(), Client(), Dispatcher()
        self.catalogue, self.uses = Catalogue(), UseCounter(self.store)
        self.denials = DenialRecorder(self.store.deny, asyncio.get_running_loop())
        self.facts = stream(self.denials.deny, self.uses)
        self.gate = Gate(Place(folder / "advisories"), self.store, self.facts.happened)
        config = GatewayConfig(
            data=str(folder),
            listener=0,
            supervisor=0,
            vault=0,
            egress=0,
            recorder=-1,
            monitor=-1,
            memory=-1,
            sources=0,
            unpacked=str(folder),
            uid=None,
            pythons={"3.11": "3.11.9", "3.13": "3.13.1"},
            protections=(),
            json=False,
            started_at=7.0,
            host="127.0.0.1",
            tls=False,
            caps=caps,
        )
        self.restrictions = Restrictions(store or self.store, self.facts, at_once)  # type: ignore[arg-type]
        self.control = NodeControl(
            config=config,
            store=store or self.store,
            records=self.store,
            catalogue=self.catalogue,
            dispatcher=self.dispatcher,  # type: ignore[arg-type]
            client=self.client,  # type: ignore[arg-type]
            bundles=self.bundles,  # type: ignore[arg-type]
            vouching=AnybodysWord(),  # type: ignore[arg-type]
            data=self.data,  # type: ignore[arg-type]
            uses=self.uses,
            redactor=self.redactor,  # type: ignore[arg-type]
            denials=self.denials,
            facts=self.facts,
            subscriptions=Subscriptions(self.data, self.catalogue),  # type: ignore[arg-type]
            delivery=self.delivery,  # type: ignore[arg-type]
            gate=self.gate,
            require_movable=self.restrictions.require_movable,
            on_live=lambda: None,
            answerable=lambda who: who,
            approves_alone=lambda _project, _function, by: by.principal == "user:alone",
            decisions=decisions,
        )

    def bundle(
        self,
        name: str = "f",
        *,
        project: str = "t",
        resources: Resources = RESOURCES,
        **changes: Any,
    ) -> str:
        """Keep a bundle; return its digest."""
        function = spec(name, **changes)
        manifest = BundleManifest(
            project=project,
            function=function,
            resources=resources.granted(named_resources(function)),
            lock_sha256=None,
        )
        self.bundles.manifests[manifest.digest()] = manifest
        return manifest.digest()

    async def deploy(
        self,
        name: str = "f",
        *,
        project: str = "t",
        approve: bool = False,
        by: Actor = ADA,
        **changes: Any,
    ) -> Version:
        digest = self.bundle(name, project=project, **changes)
        return await self.control.deploy(project, name, digest, approve=approve, by=by)

    def live(self, name: str = "f") -> int | None:
        found = self.catalogue.find("t", name)
        return found.number if found else None

    def route(self, path: str, method: str = "GET") -> str | None:
        match = self.catalogue.route(method, path)
        return getattr(getattr(match, "route", None), "function", None)

    def nothing_changed(self) -> bool:
        return self.store.versions == {} and not self.dispatcher.adopted and self.live() is None


@pytest.fixture
def on_node(tmp_path: Path) -> Callable[[Callable[[Node], Awaitable[None]]], None]:
    def play(scene: Callable[[Node], Awaitable[None]]) -> None:
        async def run() -> None:
            await asyncio.wait_for(scene(Node(tmp_path)), 10)

        asyncio.run(run())

    return play


OnNode = Callable[[Callable[[Node], Awaitable[None]]], None]

# -- deploy --------------------------------------------------------------------------------------


def test_a_deploy_starts_stores_and_serves(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        digest = node.bundle(routes=["GET /a"])
        version = await node.control.deploy("t", "f", digest, approve=False, by=Actor("key-1", ""))
        assert (version.number, version.digest, version.created_by) == (1, digest, "key-1")
        [(adopted, zygote)] = node.dispatcher.adopted
        assert adopted == version and zygote in node.client.opened and not zygote.closed
        assert zygote.version.digest == digest and zygote.approved
        assert node.live() == 1 and node.route("/a") == "f"
        assert node.dispatcher.kept == [{("t", "f", 1)}]

    on_node(scene)


def test_the_next_deploy_retires_the_one_before(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        await node.deploy(description="new")
        assert node.live() == 2
        assert node.dispatcher.kept[-1] == {("t", "f", 2)}

    on_node(scene)


def test_a_function_has_so_many_aliases(on_node: OnNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is in the memory of all nodes, and a developer may make them."""
    monkeypatch.setattr(aliases, "MAX_ALIASES", 3)

    async def scene(node: Node) -> None:
        await node.deploy()
        for name in ("a", "b", "a"):
            await node.control.set_alias(pointing(name, {1: 100}), by=Actor("k", ""))
        with pytest.raises(ConflictError, match="has 3 aliases"):
            await node.control.set_alias(pointing("c", {1: 100}), by=Actor("k", ""))

    on_node(scene)


def test_a_version_that_some_alias_leads_to_is_kept(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        await node.deploy()
        await node.deploy()
        targets = {1: 100, 2: 0}
        await node.control.set_alias(pointing("old", targets), by=Actor("k", ""))
        assert node.dispatcher.kept[-1] == {("t", "f", 1), ("t", "f", 3)}

    on_node(scene)


def test_what_is_live_keeps_its_instances_ready_from_deploy_on(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(limits=Limits(warm=2))
        assert node.dispatcher.warm == [(1, 2)]
        await node.deploy(limits=Limits(warm=3))
        assert node.dispatcher.warm == [(2, 3)]
        assert (await node.control.function("t", "f")).ready == 3
        assert [one.ready for one in await node.control.functions()] == [3]
        await node.control.rollback("t", "f", None, by=ADA)
        assert node.dispatcher.warm == [(1, 2)]
        node.dispatcher.warm = []
        await node.control.load()
        assert node.dispatcher.warm == [(1, 2)]
        await node.control.remove("t", "f", by=ADA)
        assert node.dispatcher.warm == []

    on_node(scene)


def test_more_ready_instances_than_the_node_has_are_refused(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(limits=Limits(warm=3))
        await node.deploy("g", limits=Limits(warm=1))
        await node.deploy("g", limits=Limits())
        await node.deploy(limits=Limits(warm=4))
        with pytest.raises(InvalidInputError, match="at most 4") as refused:
            await node.deploy("h", limits=Limits(warm=1))
        assert refused.value.about == "t/h" and node.live("h") is None
        # The version of `g` that is gone back to has none left either.
        with pytest.raises(InvalidInputError, match="others have 4"):
            await node.control.rollback("t", "g", 1, by=ADA)
        assert node.live("g") == 2

    on_node(scene)


def import_error() -> ImportFailedError:
    return ImportFailedError(ErrorHead("init-error", "ImportError", "no x", "trace\n"), "printed")


def test_what_does_not_start_is_not_deployed(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        node.client.fault = import_error()
        with pytest.raises(StartFailedError) as failed:
            await node.deploy()
        assert (failed.value.type, failed.value.failure_message) == ("ImportError", "no x")
        assert failed.value.trace == "trace\nprinted"
        assert node.nothing_changed()
        with pytest.raises(StartFailedError):
            await node.control.start_once("t", "f", node.bundle(), by=ADA)

    on_node(scene)


def test_a_module_that_is_not_there_is_one_to_require(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        head = ErrorHead("init-error", "ModuleNotFoundError", "No module named 'requests'", "")
        node.client.fault = ImportFailedError(head, "")
        with pytest.raises(StartFailedError) as failed:
            await node.deploy()
        assert "requirements" in str(failed.value.next_step)

    on_node(scene)


def test_clients_of_boto3_that_are_made_at_import_are_told_where_their_region_goes(
    on_node: OnNode,
) -> None:
    async def scene(node: Node) -> None:
        name = "botocore.exceptions.NoRegionError"
        head = ErrorHead("init-error", name, "You must specify a region.", "")
        node.client.fault = ImportFailedError(head, "")
        with pytest.raises(StartFailedError) as failed:
            await node.deploy()
        assert "AWS_DEFAULT_REGION" in str(failed.value.next_step)
        assert "[function.f.environment]" in str(failed.value.next_step)

    on_node(scene)


def test_a_node_that_cannot_start_anything_says_so(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        node.client.fault = UnavailableError("no room")
        with pytest.raises(UnavailableError, match="no room"):
            await node.deploy()
        assert node.nothing_changed()

    on_node(scene)


def test_a_store_that_fails_leaves_no_zygote(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        node.store.fault = CasemateError("disk full")
        with pytest.raises(CasemateError, match="disk full"):
            await node.deploy()
        assert [zygote.closed for zygote in node.client.opened] == [True]
        assert [zygote.approved for zygote in node.client.opened] == [False]
        assert node.nothing_changed()

    on_node(scene)


def test_a_trial_start_leaves_nothing(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.control.start_once("t", "f", node.bundle(), by=ADA)
        assert [zygote.closed for zygote in node.client.opened] == [True]
        assert node.nothing_changed()

    on_node(scene)


def test_a_bundle_is_deployed_under_its_own_name_only(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        digest = node.bundle("g", project="other")
        for project, name in (("t", "g"), ("other", "f"), ("t", "f")):
            with pytest.raises(NotFoundError) as refused:
                await node.control.deploy(project, name, digest, approve=False, by=Actor("k", ""))
            assert "other/g" not in str(refused.value)
            with pytest.raises(NotFoundError):
                await node.control.start_once(project, name, digest, by=ADA)
        assert node.client.opened == [] and node.nothing_changed()

    on_node(scene)


@pytest.mark.parametrize("python", ["3.12", "3.10", "2.7", None])
def test_a_python_that_is_not_offered_is_refused(on_node: OnNode, python: str | None) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(InvalidInputError, match=r"python|Python"):
            await node.deploy(python=python)
        assert node.client.opened == []

    on_node(scene)


@pytest.mark.parametrize(
    "changes",
    [
        {"handler": "app.py"},
        {"handler": "../app:handler"},
        {"routes": ["GET /api/v1/tokens"]},
        {"routes": ["GET /invoke/{x}"]},
        {"routes": ["BREW /a"]},
        {"routes": ["GET a"]},
        {"routes": ["GET /a/../b"]},
    ],
)
def test_a_bundle_that_no_manifest_made_is_refused(
    on_node: OnNode, changes: dict[str, Any]
) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(InvalidInputError):
            await node.deploy(**changes)
        assert node.client.opened == [] and node.nothing_changed()

    on_node(scene)


def test_a_bundle_that_is_not_there_is_not_found(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(NotFoundError):
            await node.control.deploy("t", "f", "0" * 64, approve=False, by=Actor("k", ""))
        assert not await node.control.has_bundle("0" * 64, by="k", deploys=lambda *_: True)

    on_node(scene)


def test_a_bundle_is_known_to_who_brought_it_and_who_may_deploy_it(
    on_node: OnNode, tmp_path: Path
) -> None:
    """Nobody learns from a digest what is in other projects, by asking or by uploading."""
    archive = tmp_path / "archive"
    archive.write_bytes(b"bundle")
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk")

    async def scene(node: Node) -> None:
        control = node.control
        digest = (await node.deploy()).digest

        def own(project: str, function: str) -> bool:
            return (project, function) == ("t", "f")

        def other(project: str, function: str) -> bool:
            return project == "other"

        assert await control.has_bundle(digest, by="user:ada", deploys=own)
        assert not await control.has_bundle(digest, by="user:eve", deploys=other)
        for unknown in (digest, "e" * 64):
            with pytest.raises(InvalidInputError):
                await control.put_bundle(unknown, junk, by="user:eve", deploys=other)
            assert await control.put_bundle(unknown, archive, by="user:eve", deploys=other)
            assert await control.has_bundle(unknown, by="user:eve", deploys=other)
            assert not await control.has_bundle(unknown, by="user:bob", deploys=other)
        assert not await control.put_bundle(digest, archive, by="user:ada", deploys=own)

    on_node(scene)


# -- before a build --------------------------------------------------------------------------------


def planned(name: str = "f", *, packages: bool = False, **changes: Any) -> PlannedFunction:
    function = spec(name, **changes)
    granted = RESOURCES.granted(named_resources(function))
    return PlannedFunction(project="t", spec=function, resources=granted, packages=packages)


async def foreseen(node: Node, *wanted: PlannedFunction) -> list[tuple[str, str]]:
    """Return what is in the way, and of which function."""
    found = await node.control.foresee(wanted, key=None, sigstore=False, by=ADA)
    return [(error.about, error.message) for error in found]


def test_nothing_is_in_the_way_of_what_can_be_deployed(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        import_small(node.gate.place)
        wanted = (planned(packages=True), planned("g", python=None, grants=(WRITE,)))
        assert await foreseen(node, *wanted) == []
        assert node.nothing_changed() and node.client.opened == []

    on_node(scene)


def test_all_that_is_in_the_way_is_told_at_once(on_node: OnNode) -> None:
    """Each was told by itself, after minutes of a build, in the order in which a deploy asks."""

    async def scene(node: Node) -> None:
        await node.deploy("taken", routes=["GET /a"])
        node.bundles.full = True
        found = await foreseen(
            node,
            planned("f", packages=True, routes=["GET /a"]),
            planned("g", packages=True, limits=Limits(memory=2 << 30)),
            planned("h", python="3.12"),
            planned("i", limits=Limits(warm=5, concurrency=8)),
        )
        words = {
            "t/f": ["GET /a", "The node has no advisories yet."],
            "t/g": ["memory = 2048MB", "The node has no advisories yet."],
            "t/h": ["h is for Python 3.12; this node offers 3.11, 3.13."],
            "t/i": ["warm = 5"],
            "": ["disk is full"],
        }
        for name, expected in words.items():
            told = [message for about, message in found if about == name]
            assert len(told) == len(expected), (name, told)
            assert all(any(one in text for text in told) for one in expected), (name, told)
        assert len(found) == sum(map(len, words.values()))
        node.denials.flush()
        denied = [(one.kind, one.function) for one in node.store.denied]
        assert sorted(denied) == [(DenialKind.ADVISORIES, "f"), (DenialKind.ADVISORIES, "g")]

    on_node(scene)


def test_functions_of_one_deploy_are_in_each_others_way(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        queues = Resources(queues=(QueueSpec(name="jobs"),))
        both = [
            msgspec.structs.replace(
                planned(name, routes=["GET /a"], triggers=(JOBS,)), resources=queues
            )
            for name in ("f", "g")
        ]
        found = await foreseen(node, *both)
        assert [about for about, _ in found] == ["t/f", "t/f", "t/g", "t/g"]
        assert ["queue jobs" in message for _, message in found] == [False, True, False, True]

    on_node(scene)


def test_what_no_manifest_says_is_in_the_way_and_asked_about_no_further(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        for changes in (
            {"handler": "app.py"}, {"routes": ["GET a"]}, {"routes": ["GET /a/../b"]},
            {"routes": ["BREW /a"]}, {"name": "../x"},
        ):  # fmt: skip
            wanted = msgspec.structs.replace(planned(), spec=spec(**{"name": "f", **changes}))
            [(about, message)] = await foreseen(node, wanted)
            assert about.startswith("t/") and "not valid" in message

    on_node(scene)


def test_an_exception_of_advisories_lets_it_be_built(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        wanted = ExceptAdvisory(
            project="t", function="f", reason="they come tomorrow", seconds=3600
        )
        await node.gate.exceptions.add(wanted, ADA)
        [(about, _)] = await foreseen(
            node, planned("f", packages=True), planned("g", packages=True)
        )
        assert about == "t/g"

    on_node(scene)


def test_a_function_that_is_frozen_is_in_the_way_of_its_deploy(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        frozen = (RestrictionKind.ALIAS, "t", "f", "")
        await node.restrictions.restrict(*frozen, reason="inc_1", by=ADA)
        [(about, message)] = await foreseen(node, planned(), planned("g"))
        assert about == "t/f" and "frozen" in message

    on_node(scene)


def test_changes_are_made_one_after_the_other(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        node.client.gate = asyncio.Event()
        both = [
            asyncio.ensure_future(node.deploy(routes=["GET /a"])),
            asyncio.ensure_future(node.deploy("g", routes=["GET /a"])),
            asyncio.ensure_future(node.control.reseal_bundles()),
        ]
        for _ in range(20):
            await asyncio.sleep(0)
        assert node.client.opening == 1 and node.bundles.resealed == 1
        assert [task.done() for task in both] == [False, False, True]
        node.client.gate.set()
        first, second, resealed = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(first, Version) and resealed is None
        # The second sees the route that the first has taken meanwhile.
        assert isinstance(second, ConflictError)

    on_node(scene)


def test_who_has_much_to_be_changed_waits_for_its_own(on_node: OnNode) -> None:
    """A function says itself how long it takes to start, and may have a hundred beside it."""

    async def scene(node: Node) -> None:
        await node.deploy("other", project="u")
        node.client.gate, opened = asyncio.Event(), node.client.opening
        many = [asyncio.ensure_future(node.deploy(f"f{number}")) for number in range(5)]
        while node.client.opening == opened:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            await node.control.rollback("u", "other", 1, by=ADA)
            await node.control.quarantine(held(project="u", function="other"), by=ADA)
            mended = ReleaseFunction(project="u", function="other", reason="mended")
            await node.control.release(mended, by=ADA)
            await node.control.live()
            await node.control.remove("u", "other", by=ADA)
        assert not any(task.done() for task in many) and node.client.opening == opened + 1
        node.client.gate.set()
        await asyncio.gather(*many)
        turns = node.control._turns
        assert not turns._projects and not turns._starts

    on_node(scene)


def test_no_more_functions_are_started_at_a_time_than_the_node_lets(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        node.client.gate = asyncio.Event()
        many = [
            asyncio.ensure_future(
                node.deploy(project=f"p{number}", by=Actor(f"token:{number}", ""))
            )
            for number in range(MAX_STARTS + 3)
        ]
        async with asyncio.timeout(20):
            while node.client.opening < MAX_STARTS:
                await asyncio.sleep(0.01)
        for _ in range(50):
            await asyncio.sleep(0)
        assert node.client.opening == MAX_STARTS
        node.client.gate.set()
        await asyncio.gather(*many)
        assert len(node.client.opened) == len(many)

    on_node(scene)


def test_who_starts_in_many_projects_leaves_room_for_others(on_node: OnNode) -> None:
    """One token that may deploy anywhere, and functions that take as long as they say."""

    async def scene(node: Node) -> None:
        node.client.gate = asyncio.Event()
        eve = [
            asyncio.ensure_future(node.deploy(project=f"p{number}", by=EVE))
            for number in range(MAX_STARTS + 3)
        ]
        async with asyncio.timeout(5):
            while node.client.opening < MAX_STARTS_OF_CALLER:
                await asyncio.sleep(0.01)
        # A project in which her start waits for another of hers is open to others.
        ada = [
            asyncio.ensure_future(node.deploy("g", project=f"p{MAX_STARTS + 2 - number}"))
            for number in range(MAX_STARTS_OF_CALLER)
        ]
        async with asyncio.timeout(5):
            while node.client.opening < 2 * MAX_STARTS_OF_CALLER:
                await asyncio.sleep(0.01)
        assert node.client.opening == 2 * MAX_STARTS_OF_CALLER
        for task in eve:
            task.cancel()
        await asyncio.gather(*eve, return_exceptions=True)
        node.client.gate.set()
        await asyncio.gather(*ada)
        assert all(task.done() for task in (*eve, *ada))

    on_node(scene)


def test_sixteen_projects_keep_no_other_from_starting(
    on_node: OnNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of somebody else, with a function that imports for ever: one is ended for who waits."""

    async def scene(node: Node) -> None:
        monkeypatch.setattr(start_places, "PROMISED_SECONDS", 0.2)
        node.client.gate = asyncio.Event()
        many = [
            asyncio.ensure_future(
                node.deploy(project=f"p{number}", by=Actor(f"token:{number}", ""))
            )
            for number in range(MAX_STARTS)
        ]
        async with asyncio.timeout(20):
            while node.client.opening < MAX_STARTS:
                await asyncio.sleep(0.01)
            honest = asyncio.ensure_future(node.deploy(project="honest"))
            while node.client.opening <= MAX_STARTS:
                await asyncio.sleep(0.01)
        ended = [task for task in many if task.done()]
        assert len(ended) == 1
        with pytest.raises(UnavailableError, match=r"projects wait to be started"):
            await ended[0]
        node.client.gate.set()
        await asyncio.gather(honest, *(task for task in many if task not in ended))

    on_node(scene)


def test_a_deploy_that_starts_for_ever_ends(
    on_node: OnNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(node: Node) -> None:
        monkeypatch.setattr(gateway_deploying, "MAX_START_SECONDS", 0.1)
        node.client.gate = asyncio.Event()
        with pytest.raises(InvalidInputError, match="did not start within"):
            await node.deploy()
        assert node.nothing_changed() and not node.control._turns._starts

    on_node(scene)


def test_a_start_of_the_own_project_keeps_nobody_from_going_back(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        await node.deploy(handler="app:second")
        node.client.gate, opened = asyncio.Event(), node.client.opening
        slow = asyncio.ensure_future(node.deploy("slow"))
        while node.client.opening == opened:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            await node.control.rollback("t", "f", 1, by=ADA)
        # A trial start of it is as long, and waits for the deploy.
        trial = asyncio.ensure_future(
            node.control.start_once("t", "f", node.bundle(handler="app:third"), by=ADA)
        )
        for _ in range(20):
            await asyncio.sleep(0)
        assert node.client.opening == opened + 1
        node.client.gate.set()
        await asyncio.gather(slow, trial)

    on_node(scene)


def test_a_bundle_that_is_removed_while_it_starts_is_not_deployed(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        node.client.gate, opened = asyncio.Event(), node.client.opening
        again = asyncio.ensure_future(node.deploy())
        while node.client.opening == opened:
            await asyncio.sleep(0.01)
        await node.control.remove("t", "f", by=ADA)
        node.client.gate.set()
        with pytest.raises(NotFoundError, match="has no bundle"):
            await again
        assert node.live() is None and node.client.opened[-1].closed

    on_node(scene)


# -- several at once -----------------------------------------------------------------------------


def wanted(node: Node, *digests: tuple[str, str]) -> list[Deployment]:
    return [Deployment("t", name, digest) for name, digest in digests]


def test_several_are_live_at_once_and_hand_routes_over(on_node: OnNode) -> None:
    """Each is judged beside what the others will be, in whatever order they are named."""

    async def scene(node: Node) -> None:
        await node.deploy("f", routes=["GET /a"])
        await node.deploy("g", routes=["GET /b"])
        for order in (1, -1):
            both = [
                ("f", node.bundle("f", routes=["GET /b"] if order == 1 else ["GET /a"])),
                ("g", node.bundle("g", routes=["GET /a"] if order == 1 else ["GET /b"])),
            ][::order]
            made = await node.control.deploy_all(wanted(node, *both), approve=False, by=ADA)
            assert [v.function for v in made] == [name for name, _ in both]
            assert node.route("/a") == ("g" if order == 1 else "f")
        assert node.route("/b") == "g"

    on_node(scene)


def test_of_several_all_are_deployed_or_none(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        good, bad = node.bundle("f"), node.bundle("g", python="3.10")
        with pytest.raises(InvalidInputError) as refused:
            await node.control.deploy_all(
                wanted(node, ("f", good), ("g", bad)), approve=False, by=Actor("k", "")
            )
        assert refused.value.about == "t/g"
        clash = node.bundle("f", routes=["GET /a"]), node.bundle("g", routes=["GET /a"])
        with pytest.raises(ConflictError) as refused_too:
            await node.control.deploy_all(
                wanted(node, ("f", clash[0]), ("g", clash[1])), approve=False, by=Actor("k", "")
            )
        assert refused_too.value.about in ("t/f", "t/g")
        assert node.client.opened == [] and node.nothing_changed()

    on_node(scene)


def test_what_was_started_is_ended_if_another_cannot_be(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        good, bad = node.bundle("f"), node.bundle("g")
        real = node.client.open

        async def opening(version: Version, **rest: Any) -> Zygote:
            if version.function == "g":
                raise ImportFailedError(
                    ErrorHead(kind="init-error", type="E", message="no", trace=""), ""
                )
            return await real(version, **rest)

        node.client.open = opening  # type: ignore[method-assign]
        with pytest.raises(StartFailedError) as refused:
            await node.control.deploy_all(
                wanted(node, ("f", good), ("g", bad)), approve=False, by=Actor("k", "")
            )
        assert refused.value.about == "t/g"
        assert [zygote.closed for zygote in node.client.opened] == [True]
        assert node.nothing_changed()

    on_node(scene)


# -- routes --------------------------------------------------------------------------------------


def test_a_route_of_another_function_stops_a_deploy_before_it_starts(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(routes=["GET /a/{id}"])
        opened = len(node.client.opened)
        for project in ("t", "other"):
            with pytest.raises(ConflictError, match="t/f"):
                await node.deploy("g", project=project, routes=["GET /a/{other}"])
        assert len(node.client.opened) == opened
        assert list(node.store.versions) == [("t", "f")]
        assert node.route("/a/1") == "f"

    on_node(scene)


def test_who_takes_a_removed_functions_name_gets_nothing_that_waited_for_it(
    on_node: OnNode,
) -> None:
    """At once, and by whoever deploys one of that name where the data was away."""

    async def scene(node: Node) -> None:
        await node.deploy()
        await node.deploy(description="b")
        assert node.data.given_up == ["f"]  # once, before the first version was live
        await node.control.remove("t", "f", by=Actor("k", ""))
        assert node.data.given_up == ["f", "f"]
        await node.deploy()
        node.data.fault = DataFullError("no")
        await node.control.remove("t", "f", by=Actor("k", ""))
        assert node.live() is None
        with pytest.raises(DataFullError):
            await node.deploy()
        assert node.live() is None
        node.data.fault = None
        await node.deploy()
        assert node.data.given_up == ["f"] * 4 and node.live() is not None

    on_node(scene)


class KilledError(BaseException):
    """Ends all that is under way, as the end of the process does."""


def test_what_waits_for_a_removed_function_is_given_up_after_a_kill(
    on_node: OnNode, tmp_path: Path
) -> None:
    """Its events waited for ever, in no list, and to remove it once more was to find nothing."""

    async def scene(node: Node) -> None:
        await node.deploy()
        await node.deploy("g")
        node.data.given_up.clear()
        node.data.fault = KilledError()  # type: ignore[assignment]
        with pytest.raises(KilledError):
            await node.control.remove("t", "f", by=Actor("k", ""))
        after = Node(tmp_path, node.bundles, node.store)
        await after.control.load()
        await settled(lambda: after.data.given_up == ["f"])
        after.control.stop()
        again = Node(tmp_path, node.bundles, node.store)
        await again.control.load()
        await asyncio.sleep(0.02)
        assert again.data.given_up == [] and again.live("g") is not None
        again.control.stop()

    on_node(scene)


def test_a_removal_that_a_kill_kept_from_happening_is_not_gone_on_with(
    on_node: OnNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: Any) -> None:
        raise KilledError

    async def scene(node: Node) -> None:
        await node.deploy()
        node.data.given_up.clear()
        monkeypatch.setattr(node.control, "_forgotten", killed)
        with pytest.raises(KilledError):
            await node.control.remove("t", "f", by=Actor("k", ""))
        after = Node(tmp_path, node.bundles, node.store)
        await after.control.load()
        await settled(lambda: not after.control._removals.unfinished())
        assert after.live() is not None and after.data.given_up == []
        after.control.stop()

    on_node(scene)


def test_a_refused_removal_leaves_nothing_to_go_on_with(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(NotFoundError):
            await node.control.remove("t", "nothing", by=Actor("k", ""))
        assert node.control._removals.unfinished() == ()

    on_node(scene)


async def settled(what: Callable[[], bool]) -> None:
    for _ in range(500):
        if what():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come to that")


def test_a_route_is_free_once_its_function_is_removed(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(routes=["GET /a"])
        await node.control.remove("t", "f", by=Actor("k", ""))
        assert node.route("/a") is None
        await node.deploy("g", routes=["GET /a"])
        assert node.route("/a") == "g"

    on_node(scene)


@pytest.mark.parametrize("way", ["rollback", "rollback to", "alias"])
def test_going_back_takes_no_route_from_another_function(on_node: OnNode, way: str) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(routes=["GET /a"])
        await node.deploy()
        await node.deploy("g", routes=["GET /a"])
        with pytest.raises(ConflictError, match="t/g"):
            if way == "alias":
                targets = {1: 100}
                await node.control.set_alias(pointing(LIVE, targets), by=Actor("k", ""))
            else:
                to = 1 if way == "rollback to" else None
                await node.control.rollback("t", "f", to, by=Actor("k", ""))
        assert node.live() == 2 and node.route("/a") == "g"

    on_node(scene)


def test_another_alias_has_no_routes(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(routes=["GET /a"])
        await node.deploy()
        await node.deploy("g", routes=["GET /a"])
        targets = {1: 100}
        await node.control.set_alias(pointing("old", targets), by=Actor("k", ""))
        assert node.route("/a") == "g"
        found = node.catalogue.find("t", "f", "old")
        assert found is not None and found.number == 1

    on_node(scene)


# -- rollback and remove -------------------------------------------------------------------------


def test_rollback_goes_back_to_what_was_and_further(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        for _ in range(3):
            await node.deploy()
        alias = await node.control.rollback("t", "f", None, by=Actor("k", ""))
        assert alias.targets == (AliasTarget(version=2, weight=100),) and node.live() == 2
        await node.control.rollback("t", "f", None, by=Actor("k", ""))
        assert node.live() == 1
        with pytest.raises(ConflictError):
            await node.control.rollback("t", "f", None, by=Actor("k", ""))
        await node.control.rollback("t", "f", 3, by=Actor("k", ""))
        await node.control.rollback("t", "f", 1, by=Actor("k", ""))
        assert node.live() == 1
        assert node.dispatcher.kept[-1] == {("t", "f", 1)}

    on_node(scene)


def test_rollback_passes_over_a_trial(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        await node.deploy()
        weights = {1: 90, 2: 10}
        await node.control.set_alias(pointing(LIVE, weights), by=Actor("k", ""))
        await node.deploy()
        alias = await node.control.rollback("t", "f", None, by=Actor("k", ""))
        assert alias.targets == (AliasTarget(version=2, weight=100),)
        assert node.dispatcher.kept[-1] == {("t", "f", 2)}

    on_node(scene)


def test_there_is_nothing_before_the_first(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        with pytest.raises(ConflictError) as refused:
            await node.control.rollback("t", "f", None, by=Actor("k", ""))
        assert refused.value.next_step
        assert node.live() == 1

    on_node(scene)


@pytest.mark.parametrize("to", [None, 1])
def test_rolling_back_what_is_not_there(on_node: OnNode, to: int | None) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(NotFoundError):
            await node.control.rollback("t", "nothing", to, by=Actor("k", ""))

    on_node(scene)


def test_rolling_back_to_a_version_that_is_not_there_changes_nothing(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        with pytest.raises(NotFoundError):
            await node.control.rollback("t", "f", 9, by=Actor("k", ""))
        with pytest.raises(NotFoundError):
            await node.control.set_alias(pointing("x", {9: 100}), by=Actor("k", ""))
        assert node.live() == 1

    on_node(scene)


def test_removing_forgets_versions_and_bundles_that_nobody_else_uses(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        first = await node.deploy()
        second = await node.deploy(description="b")
        other = await node.deploy("g")
        await node.control.remove("t", "f", by=Actor("k", ""))
        assert node.live() is None and node.live("g") == 1
        assert node.dispatcher.kept[-1] == {("t", "g", 1)}
        kept = set(node.bundles.manifests)
        assert kept == {other.digest}
        assert not {first.digest, second.digest} & kept
        with pytest.raises(NotFoundError):
            await node.control.remove("t", "f", by=Actor("k", ""))
        with pytest.raises(NotFoundError):
            await node.control.function("t", "f")
        assert [f.name for f in await node.control.functions()] == ["g"]

    on_node(scene)


# -- quarantine ----------------------------------------------------------------------------------


def held(**changes: Any) -> QuarantineFunction:
    wanted = {"project": "t", "function": "f", "reason": "MAL-1", **changes}
    return QuarantineFunction(**wanted)


RELEASE = ReleaseFunction(project="t", function="f", reason="mended")


def told_of(node: Node) -> list[Any]:
    found: list[Any] = []
    for kind in (FunctionQuarantined, FunctionReleased):
        node.facts.listen(kind, found.append)
    return found


def test_quarantine_and_release(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        told = told_of(node)
        await node.deploy()
        await node.deploy("g")
        found = await node.control.quarantine(held(kill=True), by=ADA)
        assert (found.reason, found.by) == ("MAL-1", ADA.principal)
        assert abs(found.since - time.time()) < 10
        assert node.dispatcher.contained == {("t", "f")} and node.dispatcher.killed == [("t", "f")]
        assert node.catalogue.is_quarantined("t", "f")
        assert not node.catalogue.is_quarantined("t", "g")
        assert [f.quarantine for f in await node.control.functions()] == [found, None]
        assert await node.control.release(RELEASE, by=ADA) == found
        assert node.dispatcher.contained == frozenset()
        assert not node.catalogue.is_quarantined("t", "f")
        first, second = told
        assert (first.reason, first.killed, first.by) == ("MAL-1", True, ADA.principal)
        assert (second.reason, second.function) == ("mended", "f")

    on_node(scene)


def test_a_deploy_under_way_holds_no_quarantine_up(on_node: OnNode) -> None:
    async def look(node: Node) -> None:
        await node.deploy()
        async with (
            node.control._turns.changing
        ):  # as a deploy has it whose function is slow to start
            waiting = asyncio.ensure_future(node.control.quarantine(held(), by=ADA))
            await asyncio.sleep(0)
            assert node.dispatcher.contained == {("t", "f")}
        await waiting
        assert node.dispatcher.contained == {("t", "f")}
        # One that there is not leaves nothing behind.
        async with node.control._turns.changing:
            ghost = msgspec.structs.replace(held(), function="ghost")
            waiting = asyncio.ensure_future(node.control.quarantine(ghost, by=ADA))
            await asyncio.sleep(0)
        with pytest.raises(NotFoundError):
            await waiting
        assert node.dispatcher.contained == {("t", "f")}

    on_node(look)


def test_neither_a_deploy_nor_a_restart_lifts_a_quarantine(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        found = await node.control.quarantine(held(), by=ADA)
        await node.deploy(description="new")
        await node.control.rollback("t", "f", 1, by=ADA)
        assert node.catalogue.is_quarantined("t", "f")
        again = Node(node.folder, node.bundles)
        again.store.versions, again.store.values = node.store.versions, node.store.values
        again.store.states = node.store.states
        await again.control.load()
        assert again.dispatcher.contained == {("t", "f")}
        assert again.catalogue.is_quarantined("t", "f")
        assert (await again.control.function("t", "f")).quarantine == found
        assert not node.dispatcher.killed

    on_node(scene)


def test_a_second_quarantine_keeps_the_first_and_may_kill(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        told = told_of(node)
        await node.deploy()
        found = await node.control.quarantine(held(), by=ADA)
        more = held(reason="worse", kill=True)
        assert await node.control.quarantine(more, by=Actor("k", "")) == found
        assert node.dispatcher.killed == [("t", "f")]
        assert [fact.reason for fact in told] == ["MAL-1", "worse"]

    on_node(scene)


def test_nothing_of_a_function_in_quarantine_is_removed(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        await node.deploy(description="new")
        await node.control.quarantine(held(), by=ADA)
        with pytest.raises(ConflictError, match="in quarantine"):
            await node.control.remove("t", "f", by=ADA)
        with pytest.raises(ConflictError, match="in quarantine"):
            await node.control.remove_version("t", "f", 1, by=ADA)
        assert len((await node.control.function("t", "f")).versions) == 2

    on_node(scene)


def test_what_is_not_there_or_not_held(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(NotFoundError):
            await node.control.quarantine(held(), by=ADA)
        await node.deploy()
        with pytest.raises(ConflictError, match="not in quarantine"):
            await node.control.release(RELEASE, by=ADA)

    on_node(scene)


def test_quarantines_that_cannot_be_read_stop_the_start(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        node.store.values["quarantines 3"] = b"[{]"
        with pytest.raises(StoreError, match="quarantine"):
            await node.control.load()

    on_node(scene)


# -- known holes ---------------------------------------------------------------------------------


def with_package(node: Node, name: str) -> str:
    """Keep a bundle with a package; return its digest."""
    made = BundleManifest(
        project="t",
        function=spec("f"),
        lock_sha256="1" * 64,
        packages=(LockedPackage(name=name, version="1.0"),),
    )
    node.bundles.manifests[made.digest()] = made
    return made.digest()


def test_what_has_known_holes_is_neither_started_nor_kept(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        import_records(node.gate.place, record("MAL-1", name="evil", versions=["1.0"]))
        digest = with_package(node, "evil")
        with pytest.raises(VulnerableError, match="MAL-1") as refused:
            await node.control.deploy("t", "f", digest, approve=True, by=ADA)
        assert refused.value.about == "t/f"
        with pytest.raises(VulnerableError):
            await node.control.start_once("t", "f", digest, by=ADA)
        assert node.nothing_changed() and not node.client.opened
        assert [denial.kind for denial in node.store.denied] == [DenialKind.ADVISORIES] * 2

    on_node(scene)


def test_licences_that_may_not_be_are_neither_started_nor_kept(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        import_small(node.gate.place)
        await node.gate.licences.set_rules(LicenceRules(allowed=("MIT",)))
        digest = with_package(node, "right")
        with pytest.raises(LicenceError, match=r"right 1\.0") as refused:
            await node.control.deploy("t", "f", digest, approve=True, by=ADA)
        assert refused.value.about == "t/f"
        with pytest.raises(LicenceError):
            await node.control.start_once("t", "f", digest, by=ADA)
        assert node.nothing_changed() and not node.client.opened
        assert [denial.kind for denial in node.store.denied] == [DenialKind.LICENCE] * 2

    on_node(scene)


def test_a_rule_that_is_set_while_it_is_started_counts(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        import_small(node.gate.place)
        digest = with_package(node, "right")
        node.client.gate = asyncio.Event()
        deploying = asyncio.ensure_future(
            node.control.deploy("t", "f", digest, approve=True, by=ADA)
        )
        while not node.client.opening:
            await asyncio.sleep(0.01)
        await node.gate.licences.set_rules(LicenceRules(allowed=("MIT",)))
        node.client.gate.set()
        with pytest.raises(LicenceError):
            await deploying
        assert node.nothing_changed()

    on_node(scene)


def test_what_is_imported_while_it_is_started_counts(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        import_small(node.gate.place)
        digest = with_package(node, "evil")
        node.client.gate = asyncio.Event()
        deploying = asyncio.ensure_future(
            node.control.deploy("t", "f", digest, approve=True, by=ADA)
        )
        while not node.client.opening:
            await asyncio.sleep(0.01)
        import_records(node.gate.place, record("MAL-1", name="evil", versions=["1.0"]))
        node.client.gate.set()
        with pytest.raises(VulnerableError, match="MAL-1"):
            await deploying
        assert node.nothing_changed()
        assert [zygote.closed for zygote in node.client.opened] == [True]

    on_node(scene)


# -- rights that are taken meanwhile --------------------------------------------------------------


class GoneError(Exception):
    """Whoever asked may not do it any more."""


def gone() -> None:
    raise GoneError


WAITING: dict[str, Callable[[Node], Awaitable[Any]]] = {
    "deploy": lambda node: node.control.deploy(
        "t", "f", node.bundle(handler="app:other"), approve=True, by=ADA
    ),
    "deploy all": lambda node: node.control.deploy_all(
        [Deployment("t", "f", node.bundle(handler="app:other"))], approve=True, by=ADA
    ),
    "point": lambda node: node.control.set_alias(
        SetAlias(project="t", function="f", name="old", targets=(Target(version=1, weight=100),)),
        approve=True,
        by=ADA,
    ),
    "roll back": lambda node: node.control.rollback("t", "f", 1, by=ADA),
    "try": lambda node: node.control.start_trial(
        StartTrial(project="t", function="f", version=1, terms=TrialTerms(weight=5, seconds=60.0)),
        by=ADA,
    ),
    "end a trial": lambda node: node.control.end_trial(
        EndTrial(project="t", function="f", version=1, since=1.0, promote=True),
        by=ADA,
    ),
    "remove": lambda node: node.control.remove("t", "f", by=ADA),
    "remove a version": lambda node: node.control.remove_version("t", "f", 1, by=ADA),
    "release": lambda node: node.control.release(RELEASE, by=ADA),
    "quarantine": lambda node: node.control.quarantine(held(reason="other"), by=ADA),
    "claim routes": lambda node: node.control.claim_routes(
        RouteClaim(project="t", prefixes=("/mine",), hosts=()), by=ADA
    ),
}


@pytest.mark.parametrize("what", WAITING)
def test_what_had_to_wait_is_not_done_for_who_may_not_any_more(on_node: OnNode, what: str) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        await node.deploy(handler="app:second")
        await node.control.quarantine(held(), by=ADA)
        before = await node.control.functions()
        opened = node.client.opening
        with asked_again(gone):
            async with (
                node.control._turns.changing
            ):  # as a deploy has it whose function starts slowly
                waiting = asyncio.ensure_future(WAITING[what](node))
                await asyncio.sleep(0)
            with pytest.raises(GoneError):
                await waiting
        assert await node.control.functions() == before
        assert await node.control.route_claims() == ()
        assert node.client.opening == opened

    on_node(scene)


def test_rights_that_are_taken_while_a_function_starts_end_its_deploy(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        node.client.gate = asyncio.Event()
        asked = iter((False, True))
        with asked_again(lambda: gone() if next(asked) else None):
            deploying = asyncio.ensure_future(
                node.control.deploy("t", "f", node.bundle(), approve=True, by=ADA)
            )
            while not node.client.opening:
                await asyncio.sleep(0.01)
            node.client.gate.set()
            with pytest.raises(GoneError):
                await deploying
        assert node.nothing_changed()
        assert [zygote.closed for zygote in node.client.opened] == [True]
        assert not node.data.ensured  # nor does its project have what it declares

    on_node(scene)


class AskedAnew(AnybodysWord):
    """Somebody's word that stops counting once a key or rule has changed."""

    revision = 0

    def stamp(self, project: str) -> tuple[int, SigningRule]:
        return (self.revision, SigningRule(project=project))

    async def require(self, manifest: BundleManifest, by: Actor) -> Admitted:
        if self.revision:
            raise UnsignedError("its key was revoked")
        return await super().require(manifest, by)


def test_a_key_that_is_revoked_while_a_function_starts_counts(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        vouching = AskedAnew()
        node.control._deploying._vouching = vouching  # type: ignore[assignment]
        node.client.gate = asyncio.Event()
        deploying = asyncio.ensure_future(node.deploy())
        while not node.client.opening:
            await asyncio.sleep(0.01)
        vouching.revision = 1
        node.client.gate.set()
        with pytest.raises(UnsignedError):
            await deploying
        assert node.nothing_changed()

    on_node(scene)


# -- what is granted -----------------------------------------------------------------------------


def refusal(node: Node) -> Denial:
    [denial] = node.store.denied
    assert (denial.kind, denial.principal) == (DenialKind.GRANTS, "user:ada")
    assert (denial.action, denial.resource) == ("function:deploy", "function:t/f")
    return denial


def test_a_first_deploy_that_is_granted_anything_stops(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(WideningError) as stopped:
            await node.deploy(grants=(READ,))
        assert stopped.value.difference.widening == (READ,) and stopped.value.next_step
        assert node.nothing_changed() and node.client.opened == []
        assert node.data.ensured == []
        assert "uploads" in refusal(node).reason

    on_node(scene)


@pytest.mark.parametrize(
    ("changes", "error", "denials"),
    [
        ({"grants": (READ,)}, WideningError, 1),
        ({"routes": ["GET /taken"]}, ConflictError, 0),
        ({"python": "3.12"}, InvalidInputError, 0),
        ({"limits": Limits(memory=2 << 30)}, InvalidInputError, 0),
        ({"limits": Limits(warm=5)}, CasemateError, 0),
    ],
    ids=["grants", "routes", "python", "memory", "ready instances"],
)
def test_what_manifests_tell_is_refused_before_anything_is_read_made_or_waited_for(
    on_node: OnNode, changes: dict[str, Any], error: type[Exception], denials: int
) -> None:
    """Packages were read and an SBOM was made for whoever may not approve of a deploy."""

    async def scene(node: Node) -> None:
        await node.deploy("g", routes=["GET /taken"])
        node.client.gate = asyncio.Event()
        starting = asyncio.ensure_future(node.deploy("slow"))
        while not node.client.opening:
            await asyncio.sleep(0)
        costs: list[str] = []

        async def read(digest: str, _reading: Any) -> Any:
            costs.append(digest)
            raise NotFoundError("It is not read.")

        node.bundles.read = read  # type: ignore[method-assign]
        with pytest.raises(error):
            await asyncio.wait_for(node.deploy(**changes), 5)
        assert costs == [] and node.client.opening == 1
        assert len(node.store.denied) == denials
        node.client.gate.set()
        starting.cancel()

    on_node(scene)


def test_a_deploy_that_is_granted_nothing_needs_no_approval(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        await node.deploy(approve=True)
        assert node.store.approved == node.store.denied == []

    on_node(scene)


def test_a_widening_that_is_approved_is_recorded_with_its_version(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(grants=(READ,), approve=True)
        await node.deploy(grants=(WRITE,), approve=True)
        first, second = node.store.approved
        assert (first.version, first.added, first.by) == (1, (READ,), "user:ada")
        assert (second.version, second.added) == (2, (WRITE,))
        assert node.live() == 2 and node.data.ensured == [("t", RESOURCES)] * 2

    on_node(scene)


def test_what_was_approved_needs_no_second_word(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(grants=(WRITE,), approve=True)
        await node.deploy(grants=(WRITE,), description="new")
        await node.deploy(grants=(READ,))
        assert len(node.store.approved) == 1 and node.live() == 3
        # Having less, it needs a word again to have more.
        with pytest.raises(WideningError):
            await node.deploy(grants=(WRITE,), description="again")
        assert node.live() == 3
        refusal(node)

    on_node(scene)


def test_it_is_the_version_most_callers_get_that_counts(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(grants=(WRITE,), approve=True)
        await node.deploy()
        weights = {1: 5, 2: 95}
        await node.control.set_alias(pointing(LIVE, weights), approve=True, by=Actor("k", ""))
        with pytest.raises(WideningError):
            await node.deploy(grants=(READ,))

    on_node(scene)


WAYS_TO_LIVE = ("alias", "share", "rollback", "rollback to", "trial")


async def to_first(node: Node, way: str, *, approve: bool = False) -> None:
    """Have callers get version 1."""
    control = node.control
    if way == "trial":
        terms = TrialTerms(weight=50, seconds=60.0)
        trial = StartTrial(project="t", function="f", version=1, terms=terms)
        await control.start_trial(trial, approve=approve, by=ADA)
    elif way in ("alias", "share"):
        weights = {1: 100} if way == "alias" else {1: 1, 2: 99}
        await control.set_alias(pointing(LIVE, weights), approve=approve, by=ADA)
    else:
        to = 1 if way == "rollback to" else None
        await control.rollback("t", "f", to, approve=approve, by=ADA)


@pytest.mark.parametrize("way", WAYS_TO_LIVE)
def test_what_was_taken_away_is_not_given_again_by_pointing_back(
    on_node: OnNode, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways_back, "LATELY_SECONDS", -1.0)

    async def scene(node: Node) -> None:
        await node.deploy(grants=(WRITE,), approve=True)
        await node.deploy(grants=(READ,))
        with pytest.raises(WideningError, match="f@1 would be granted more") as stopped:
            await to_first(node, way)
        assert "grant:approve" in stopped.value.next_step
        assert node.live() == 2
        [denial] = node.store.denied
        assert (denial.action, denial.principal) == ("function:alias", "user:ada")
        await to_first(node, way, approve=True)
        shown = await node.control.function("t", "f")
        assert 1 in {target.version for alias in shown.aliases for target in alias.targets}

    on_node(scene)


@pytest.mark.parametrize("way", WAYS_TO_LIVE)
def test_a_deploy_of_the_last_hour_is_gone_back_from_by_whoever_may_point_live(
    on_node: OnNode, way: str
) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(grants=(WRITE,), approve=True)
        await node.deploy(grants=(READ,))
        await to_first(node, way)
        assert node.store.denied == []

    on_node(scene)


def test_another_alias_grants_nothing_that_live_does_not(
    on_node: OnNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways_back, "LATELY_SECONDS", -1.0)

    async def scene(node: Node) -> None:
        await node.deploy(grants=(WRITE,), approve=True)
        await node.deploy(grants=(READ,))
        await node.control.set_alias(pointing("old", {1: 100}), by=ADA)
        found = node.catalogue.find("t", "f", "old")
        assert found is not None and found.spec.grants == (READ,)

    on_node(scene)


@pytest.mark.parametrize("failing", ["data", "store"])
def test_a_widening_that_cannot_be_recorded_makes_no_version(on_node: OnNode, failing: str) -> None:
    """One without its approval could be pointed at later, by who may not approve."""

    async def scene(node: Node) -> None:
        await node.deploy()
        part = node.data if failing == "data" else node.store
        part.fault = CasemateError("disk full")
        with pytest.raises(CasemateError, match="disk full"):
            await node.deploy(grants=(READ,), approve=True)
        assert node.live() == 1 and len(node.dispatcher.adopted) == 1
        assert [zygote.closed for zygote in node.client.opened] == [False, True]
        assert node.store.approved == []
        with pytest.raises(NotFoundError):
            targets = {2: 100}
            await node.control.set_alias(pointing(LIVE, targets), by=Actor("user:mallory", ""))

    on_node(scene)


def test_a_trial_start_makes_no_resource_and_asks_nobody(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.control.start_once("t", "f", node.bundle(grants=(READ,)), by=ADA)
        assert node.data.ensured == node.store.denied == node.store.approved == []
        # Nor does it reach what nobody has approved, not even for as long as it takes to end it.
        assert [zygote.approved for zygote in node.client.opened] == [False]
        assert node.nothing_changed()

    on_node(scene)


def test_a_bundle_with_a_grant_of_what_it_does_not_declare_is_refused(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(InvalidInputError):
            await node.deploy(grants=(READ,), resources=Resources(), approve=True)
        assert node.client.opened == [] and node.nothing_changed()

    on_node(scene)


def test_uses_are_told_up_to_this_moment(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        version = await node.deploy(grants=(READ,), approve=True)
        node.facts.happened(use_of(version, "bucket uploads", "read", at=time.time()))
        [use] = await node.control.recorded(ListUses(project="t", function="f"))
        assert (use.version, use.grant, use.count) == (1, "bucket uploads", 1)
        node.uses.close()

    on_node(scene)


# -- the rest ------------------------------------------------------------------------------------


def test_a_restart_serves_what_is_stored_and_prepares_its_interpreters(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(routes=["GET /a"])
        await node.deploy("g", python="3.13")
        again = Node(node.folder, node.bundles)
        again.store.versions, again.store.states = node.store.versions, node.store.states
        await again.control.load()
        assert again.live() == again.live("g") == 1 and again.route("/a") == "f"
        assert again.bundles.loaded == set(node.bundles.manifests)
        assert sorted(again.client.prepared) == ["3.11", "3.13"]

    on_node(scene)


def test_an_interpreter_that_is_gone_is_not_prepared(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        new = NewVersion(project="t", function="f", digest="a" * 64, spec=spec(python="3.12"))
        await node.store.change(KeepVersions(versions=(new,), by="k"))
        await node.control.load()
        assert node.client.prepared == [] and node.live() == 1

    on_node(scene)


def test_records_are_written_before_they_are_read(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        for operation in (ShowInvocation(id="x"), ShowError(id="x")):
            with pytest.raises(NotFoundError) as missing:
                await node.control.recorded(operation)
            assert missing.value.next_step
        for operation in (ListInvocations(), ListErrors(), ReadLogs(), ListDenials()):
            await node.control.recorded(operation)
        # What still waits to be redacted first, then what waits to be written.
        assert (node.redactor.flushed, node.store.flushed) == (6, 6)

    on_node(scene)


def test_followed_logs_end_with_the_node(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        node.control.stop()
        with pytest.raises(UnavailableError):
            await node.control.recorded(ReadLogs())

    on_node(scene)


def test_the_status_counts_what_there_is(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        node.store.lost_records = 5
        status = await node.control.node_status()
        assert (status.functions, status.zygotes, status.instances) == (1, 3, 1)
        assert (status.spares, status.queued, status.memory_reserved) == (2, 3, 4)
        assert (status.memory_resting, status.memory_resting_most) == (5, None)
        assert (status.started_at, status.lost_records) == (7.0, 5)
        assert status.pythons == ("3.11.9", "3.13.1")
        assert status.memory_total > 0 and status.cpus >= 1

    on_node(scene)


# -- triggers ------------------------------------------------------------------------------------

JOBS = QueueTrigger(name="queue-1", queue="jobs")
WITH_JOBS: dict[str, Any] = {
    "approve": True,
    "resources": Resources(queues=(QueueSpec(name="jobs"),)),
}
NIGHTLY = ScheduleTrigger(name="nightly", cron="0 3 * * *")


def test_what_is_live_is_subscribed(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(**WITH_JOBS, triggers=(NIGHTLY, JOBS))
        assert node.data.subscribed == {"t": [("f", "nightly"), ("f", "queue-1")]}
        await node.deploy("g")
        assert node.data.subscribed["t"][2:] == [("g", "")]
        await node.deploy()
        assert node.data.subscribed == {"t": [("f", ""), ("g", "")]}
        await node.control.rollback("t", "f", None, by=Actor("k", ""))
        assert ("f", "nightly") in node.data.subscribed["t"]
        await node.control.remove("t", "f", by=Actor("k", ""))
        assert node.data.subscribed == {"t": [("g", "")]}
        assert (node.delivery.started, node.delivery.updated) == (0, 5)

    on_node(scene)


def test_a_queue_has_one_consumer(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(**WITH_JOBS, triggers=(JOBS,))
        with pytest.raises(ConflictError, match=r"queue jobs is consumed by t/f"):
            await node.deploy(
                "g", **WITH_JOBS, triggers=(msgspec.structs.replace(JOBS, name="other"),)
            )
        await node.deploy(**WITH_JOBS, triggers=(NIGHTLY, JOBS))
        await node.deploy("g", project="other", **WITH_JOBS, triggers=(JOBS,))
        assert node.data.subscribed["other"] == [("g", "queue-1")]

    on_node(scene)


def test_going_back_takes_no_queue_from_another_function(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(**WITH_JOBS, triggers=(JOBS,))
        await node.deploy()
        await node.deploy("g", **WITH_JOBS, triggers=(JOBS,))
        with pytest.raises(ConflictError, match=r"t/g"):
            await node.control.rollback("t", "f", 1, by=Actor("k", ""))
        assert node.live() == 2

    on_node(scene)


def test_a_start_subscribes_what_is_stored(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.deploy(**WITH_JOBS, triggers=(JOBS,))
        node.data.subscribed.clear()
        again = Subscriptions(node.data, node.catalogue)  # type: ignore[arg-type]
        await again.start()
        assert node.data.subscribed == {"t": [("f", "queue-1")]}

    on_node(scene)


# -- routes that were given, versions that go ------------------------------------------------------


def test_what_was_given_to_a_project_is_kept_and_holds(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        claim = RouteClaim(project="t", prefixes=("/pay",), hosts=("t.example.com",))
        await node.control.claim_routes(claim, by=ADA)
        assert await node.control.route_claims() == (claim,)
        with pytest.raises(ConflictError):
            await node.control.claim_routes(
                RouteClaim(project="u", prefixes=("/pay",)), by=Actor("k", "")
            )
        await node.control.load()
        assert await node.control.route_claims() == (claim,)
        await node.control.claim_routes(RouteClaim(project="t"), by=ADA)
        assert await node.control.route_claims() == ()

    on_node(scene)


def test_claims_that_cannot_be_read_are_no_reason_to_go_on_without(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        node.store.values["route-claims"] = b"{"
        with pytest.raises(StoreError):
            await node.control.load()

    on_node(scene)


def test_a_version_is_removed_with_a_bundle_that_nothing_else_uses(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        first, second = node.bundle(), node.bundle(description="new")
        for digest in (first, second):
            await node.control.deploy("t", "f", digest, approve=False, by=Actor("k", ""))
        await node.control.remove_version("t", "f", 1, by=Actor("k", ""))
        assert node.catalogue.find("t", "f", "1") is None
        everything = {"by": "k", "deploys": lambda *_: True}
        assert not await node.control.has_bundle(first, **everything)
        assert await node.control.has_bundle(second, **everything)
        assert list(node.bundles.manifests) == [second]

    on_node(scene)


# -- frozen aliases --------------------------------------------------------------------------------


def test_aliases_that_are_frozen_are_moved_by_nothing(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        for memory in (64, 65):
            await node.deploy(limits=Limits(memory=memory << 20))
        await node.deploy("other")
        frozen = (RestrictionKind.ALIAS, "t", "f", "")
        held = await node.restrictions.restrict(*frozen, reason="inc_1", by=ADA)
        to_first = SetAlias(
            project="t", function="f", name="live", targets=(Target(version=1, weight=100),)
        )
        for change in (
            node.deploy(limits=Limits(memory=66 << 20)),
            node.control.rollback("t", "f", 1, by=ADA),
            node.control.set_alias(to_first, by=ADA),
            node.control.set_alias(msgspec.structs.replace(to_first, name="canary"), by=ADA),
            node.control.remove("t", "f", by=ADA),
            node.control.remove_version("t", "f", 1, by=ADA),
            node.control.start_trial(
                StartTrial(
                    project="t", function="f", version=1, terms=TrialTerms(weight=5, seconds=60)
                ),
                by=ADA,
            ),
        ):
            with pytest.raises(ConflictError, match=r"frozen, by .*inc_1"):
                await change
        assert node.live() == 2
        await node.deploy("other", limits=Limits(memory=66 << 20))
        await node.restrictions.lift(held.id, "a false alarm", ADA)
        await node.control.rollback("t", "f", 1, by=ADA)
        assert node.live() == 1

    on_node(scene)


def test_a_deploy_under_way_does_not_move_what_is_frozen_meanwhile(
    on_node: OnNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(node: Node) -> None:
        await node.deploy()
        genuine = node.client.open

        async def opened(*given: Any, **more: Any) -> Any:
            found = await genuine(*given, **more)
            frozen = (RestrictionKind.ALIAS, "t", "f", "")
            await node.restrictions.restrict(*frozen, reason="inc_1", by=ADA)
            return found

        monkeypatch.setattr(node.client, "open", opened)
        with pytest.raises(ConflictError, match="frozen"):
            await node.deploy(limits=Limits(memory=65 << 20))
        assert node.live() == 1
        assert len((await node.control.function("t", "f")).versions) == 1

    on_node(scene)

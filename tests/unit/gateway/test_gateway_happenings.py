"""What sandboxes and the egress proxy tell becomes facts about the function that it is of."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from casemate.advisories import Ecosystem, Package
from casemate.capabilities import UseCounter
from casemate.capabilities.uses import is_of_package, package_use
from casemate.detection import over, shipped_rules
from casemate.egress.interface import EgressEvent
from casemate.facts import FactStream
from casemate.gateway.happenings import Happenings, PackageActs
from casemate.model.denial import Denial, DenialKind, PackageUse
from casemate.model.facts import Fact, GrantUsed, PackageActed, SystemCallsMet
from casemate.recorder import ocsf
from casemate.vulnerabilities import Inventory, Packages
from support.core import MemoryStore, version

VERSION = version(3)
NAME = f"{VERSION.project}/{VERSION.function}"


class Scene:
    def __init__(self) -> None:
        self.facts, self.told = FactStream(), list[Fact]()
        known = SimpleNamespace(version_of={7: VERSION}.get)
        self.happenings = Happenings(known, self.facts)  # type: ignore[arg-type]
        for kind in (Denial, GrantUsed):
            self.facts.listen(kind, self.told.append)

    @staticmethod
    def zygote(*serving: str) -> Any:
        instances = {n: SimpleNamespace(serving=each) for n, each in enumerate(serving)}
        return SimpleNamespace(version=VERSION, instances=instances)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def of_the_function(fact: Fact) -> bool:
    whose = (fact.project, fact.function, fact.version)
    return fact.by == f"function:{NAME}" and whose == (VERSION.project, VERSION.function, 3)


@pytest.mark.parametrize(
    ("serving", "known"), [(("inv_1",), "inv_1"), (("inv_1", "inv_2"), ""), (("",), "")]
)
def test_a_denied_call(scene: Scene, serving: tuple[str, ...], known: str) -> None:
    call: Any = SimpleNamespace(name="ptrace", at=5.0, count=3)
    scene.happenings.on_call(scene.zygote(*serving), call)
    [denial] = scene.told
    assert isinstance(denial, Denial) and of_the_function(denial)
    assert (denial.kind, denial.action) == (DenialKind.SYSTEM_CALL, "ptrace")
    assert (denial.at, denial.count, denial.invocation) == (5.0, 3, known)


def test_a_call_that_is_not_usual_of_the_function_is_told_so(scene: Scene) -> None:
    for name in ("unlink", "ptrace"):
        call: Any = SimpleNamespace(name=name, at=5.0, count=1)
        scene.happenings.on_call(scene.zygote(), call)
    usual, never = (fact.reason for fact in scene.told if isinstance(fact, Denial))
    assert "baseline" in usual and "no function" in never


def test_calls_that_are_let_through(scene: Scene) -> None:
    scene.facts.listen(SystemCallsMet, scene.told.append)
    scene.happenings.on_met_calls(scene.zygote("inv_1"), ())
    scene.happenings.on_met_calls(scene.zygote("inv_1", "inv_2"), ("unlink",))
    begun, met = scene.told
    assert isinstance(begun, SystemCallsMet) and isinstance(met, SystemCallsMet)
    assert of_the_function(begun) and of_the_function(met)
    assert (begun.met, begun.invocation) == ((), "inv_1")
    assert (met.met, met.invocation) == (("unlink",), "")


def test_an_instance_that_was_ended(scene: Scene) -> None:
    scene.happenings.on_kill(scene.zygote(), "inv_9")
    [denial] = scene.told
    assert isinstance(denial, Denial) and of_the_function(denial)
    assert (denial.resource, denial.invocation) == ("kernel", "inv_9")


def test_connections(scene: Scene) -> None:
    event = {"zygote": 7, "at": 5.0, "host": "api.example", "port": 443, "count": 2}
    scene.happenings.on_connection(EgressEvent(**event, allowed=False, reason="not granted"))
    scene.happenings.on_connection(EgressEvent(**event, allowed=True, grant="host api.example"))
    scene.happenings.on_connection(EgressEvent(**{**event, "zygote": 8}, allowed=True))
    denial, use = scene.told
    assert isinstance(denial, Denial) and of_the_function(denial)
    assert (denial.kind, denial.resource) == (DenialKind.EGRESS, "host:api.example:443")
    assert isinstance(use, GrantUsed) and of_the_function(use)
    assert (use.grant, use.action, use.count) == ("host api.example", "connect", 2)


def test_an_address_without_a_name_is_found_in_either_form(scene: Scene) -> None:
    found = []
    for host in ("203.0.113.80", "2001:db8::80"):
        asked = {"zygote": 7, "at": 5.0, "host": host, "port": 443}
        scene.happenings.on_connection(EgressEvent(**asked, allowed=False, reason="not granted"))
        event = msgspec.json.decode(ocsf.event(scene.told.pop(), 1, "1-1"))
        findings = over([event], shipped_rules())
        found += [each.entity for each in findings if each.rule == "bare-address-tried"]
    assert [each.partition("resource=")[2] for each in found] == [
        "host:203.0.113.80:443",
        "host:[2001:db8::80]:443",
    ]


def acted(package: str, digest: str = "a" * 64) -> PackageActed:
    return PackageActed(
        at=3.0,
        project="shop",
        function="cart",
        version=2,
        digest=digest,
        package=package,
        act="egress",
        count=5,
    )


def test_acts_are_counted_of_packages_that_the_bundle_has() -> None:
    """A process can say what it wants: what it makes up would fill the store."""

    async def run() -> None:
        facts, store = FactStream(), MemoryStore()
        uses, inventory = UseCounter(store), Inventory(MemoryStore())
        PackageActs(uses, inventory).listen(facts)
        facts.happened(acted("requests"))  # of which nothing is known yet
        package = Package(ecosystem=Ecosystem.PYPI, name="requests", version="1.0")
        await inventory.put("a" * 64, Packages(packages=(package,)))
        facts.happened(acted("requests"))
        facts.happened(acted("requests"))
        for number in range(1000):
            facts.happened(acted(f"made-up-{number}"))
            facts.happened(acted("requests", digest=f"{number:064x}"))
        await uses.flush()
        uses.close()
        [use] = store.used
        assert is_of_package(use)
        assert package_use(use) == PackageUse(
            package="requests", act="egress", first_at=3.0, last_at=3.0, count=10
        )

    asyncio.run(run())

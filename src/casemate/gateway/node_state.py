"""Gathers what the audit of the node looks at. What does not answer is told as not looked at."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from casemate import __version__
from casemate.access_reviews import Holder, Reviews, holders
from casemate.accounts import Accounts
from casemate.admission import Catalogue
from casemate.api.backup import BACKUP_MADE
from casemate.api.control import Control
from casemate.build import end_of_life
from casemate.build.support import python_support
from casemate.certificates.tls import NodeTls
from casemate.decoys import Decoys
from casemate.gateway.check import NodeCheck
from casemate.gateway.function_states import FunctionStates
from casemate.host_support import host_support, host_today
from casemate.kernel import clock
from casemate.model.account import Token
from casemate.model.errors import CasemateError
from casemate.model.loopback import is_loopback
from casemate.model.node import NodeHealth
from casemate.model.nodes import ClusterNode
from casemate.model.principal import BUILT_IN_ROLES, PrincipalKind
from casemate.model.processes import GatewayConfig
from casemate.model.vulnerability import LiveHole, Verdict
from casemate.monitor import MonitorClient
from casemate.node_audit.state import (
    DecoyOff,
    ExceptionState,
    HoleState,
    HostState,
    KeyState,
    LicenceState,
    NodeState,
    Outlet,
    PersonState,
    ReviewState,
    Settings,
    Silence,
    TokenState,
    Touch,
    WorkloadState,
    changed,
)
from casemate.operations.advisories import ListLiveHoles
from casemate.operations.findings import ListFindings
from casemate.operations.node import ReadNodeValue
from casemate.policy import CedarPolicy
from casemate.sqlite.engine import library_versions
from casemate.store.interface import Store
from casemate.supply import Signatures
from casemate.vault.interface import Vault
from casemate.vulnerabilities import Advisories

PART_SECONDS = 10.0
"""What does not answer within that is not looked at."""
TOUCH_RULES = (
    "decoy-secret-asked",
    "decoy-token-presented",
    "decoy-host-asked",
    "decoy-row-read",
)
TOUCH_DAYS = 30
# Now: what comes with Casemate may be out of a gateway's reach once it is confined.
host_support()
python_support()
_SLICE = 200
"""Things that are looked at before calls go on in between."""


class LookedAt(NamedTuple):
    """What is asked."""

    config: GatewayConfig
    folder: Path
    address: str
    store: Store
    vault: Vault
    tls: NodeTls | None
    accounts: Accounts
    policy: CedarPolicy
    signatures: Signatures
    advisories: Advisories
    decoys: Decoys
    monitor: MonitorClient
    control: Control
    catalogue: Catalogue
    reviews: Reviews
    check: NodeCheck
    health: Callable[[], NodeHealth]
    uses: Callable[[], Awaitable[None]]
    """Writes what is noted of uses of grants."""
    nodes: Callable[[], Awaitable[tuple[ClusterNode, ...] | None]]
    """Those that share the store; None where it is this node's alone."""


class NodeLook:
    """Looks at one node."""

    def __init__(self, parts: LookedAt) -> None:
        """Ask `parts`."""
        self._parts = parts
        self._functions = FunctionStates(
            parts.control, parts.catalogue, parts.store, parts.signatures, parts.uses
        )

    async def __call__(self) -> NodeState:
        """Return what the node is."""
        state = NodeState(now=time.time(), settings=self._settings())
        for name, look in self._looks().items():
            try:
                async with asyncio.timeout(PART_SECONDS):
                    state = changed(state, **await look(state))
            except Exception as error:  # noqa: BLE001 - it is told, and the rest looked at
                what = error.message if isinstance(error, CasemateError) else ""
                note = f"{name}: {type(error).__name__}{': ' if what else ''}{what}"
                state = changed(state, notes=(*state.notes, note))
        return state

    def _looks(self) -> dict[str, Callable[[NodeState], Awaitable[dict[str, Any]]]]:
        return {
            "accounts": self._accounts,
            "keys and roles": self._keys,
            "functions": self._functions.look,
            "advisories": self._advisories,
            "decoys": self._decoys,
            "touches of decoys": self._touches,
            "alerts": self._alerts,
            "exports": self._outlets,
            "host": self._host,
            "store and vault": self._kept,
            "access reviews": self._reviews,
            "nodes": self._nodes,
        }

    def _settings(self) -> Settings:
        config, tls = self._parts.config, self._parts.tls
        return Settings(
            address=self._parts.address,
            started_at=config.started_at,
            loopback=is_loopback(config.host),
            tls=config.tls,
            certificate_ends=tls.ends_at if tls is not None else None,
            learn=config.learn,
            accepted_risks=config.accepted_risks,
            accepted_losses=config.accepted_losses,
            trusted_proxies=config.trusted_proxies,
            protections=config.protections,
        )

    # -- who may do what -----------------------------------------------------------------------

    async def _accounts(self, state: NodeState) -> dict[str, Any]:
        people, tokens = self._parts.accounts.people, []
        for number, token in enumerate(self._parts.accounts.tokens.all()):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            if _in_force(token, state.now):
                tokens.append(self._token(token))
        found = [
            PersonState(
                name=user.name,
                created_at=user.created_at,
                bindings=people.roles_of(user.name),
                can_get_in=people.is_enrolled(user),
                code_until=user.enrolment_expires_at,
                seen_at=people.seen_at(user),
            )
            for user in people.all()
            if user.disabled_at is None
        ]
        seen = self._parts.accounts.workloads.seen()
        workloads = tuple(
            WorkloadState(
                name=one.name,
                issuer=one.issuer,
                created_at=one.created_at,
                bindings=one.bindings,
                seen_at=seen.get(one.name),
            )
            for one in self._parts.accounts.workloads.all()
        )
        return {"people": tuple(found), "tokens": tuple(tokens), "workloads": workloads}

    def _token(self, token: Token) -> TokenState:
        accounts = self._parts.accounts
        by_person = token.created_by.startswith(f"{PrincipalKind.USER.value}:")
        return TokenState(
            id=token.id,
            name=token.name,
            created_at=token.created_at,
            created_by=token.created_by,
            maker_gone=by_person and accounts.principal_of(token.created_by) is None,
            expires_at=token.expires_at,
            used_at=accounts.tokens.used_at(token),
            bindings=token.bindings,
        )

    async def _nodes(self, _state: NodeState) -> dict[str, Any]:
        return {"nodes": await self._parts.nodes()}

    async def _keys(self, _state: NodeState) -> dict[str, Any]:
        accounts, policy = self._parts.accounts, self._parts.policy
        keys = tuple(
            KeyState(
                id=key.id,
                principal=key.principal,
                principal_gone=accounts.principal_of(key.principal) is None,
            )
            for key in self._parts.signatures.keys.all()
            if key.revoked_at is None and ":" in key.principal
        )
        roles = policy.roles()
        return {"keys": keys, "roles": roles, "own_roles": roles - frozenset(BUILT_IN_ROLES)}

    async def _reviews(self, state: NodeState) -> dict[str, Any]:
        reviews = self._parts.reviews
        await reviews.load()
        functions = await self._parts.control.functions()
        found = await asyncio.to_thread(holders, self._parts.accounts, functions, state.now)
        await reviews.forget_others({one.id for one in found}, before=state.now)
        states: list[ReviewState] = []
        for number, one in enumerate(found):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            states.append(_review(one, reviews))
        return {"reviews": tuple(states), "review_days": reviews.days}

    # -- functions and what is known of them ---------------------------------------------------

    async def _advisories(self, _state: NodeState) -> dict[str, Any]:
        advisories = self._parts.advisories
        gate = advisories.gate
        standing = await gate.standing()
        exceptions = tuple(
            ExceptionState(
                id=one.id,
                project=one.project,
                function=one.function,
                what=f"{one.advisory} in {one.package}" if one.advisory else "missing advisories",
                reason=one.reason,
                by=one.by,
                expires_at=one.expires_at,
            )
            for one in gate.exceptions.all()
        )
        live = advisories.live(ListLiveHoles())
        return {
            "exceptions": exceptions,
            "holes": tuple(_hole(one) for one in live.holes if one.hole.verdict is Verdict.REFUSED),
            "licences": tuple(
                LicenceState(
                    project=one.project,
                    function=one.function,
                    package=f"{one.licence.package} {one.licence.version}",
                    id=one.licence.id,
                )
                for one in live.licences
                if one.licence.verdict is Verdict.REFUSED
            ),
            "advisory_problems": tuple(f"{p.kind.value}: {p.text}" for p in standing.problems),
            "clock_behind": max(0.0, gate.now() - time.time()),
        }

    async def _decoys(self, _state: NodeState) -> dict[str, Any]:
        off = tuple(
            DecoyOff(project=one.project, kind=one.kind.value, reason=one.reason, by=one.by)
            for one in self._parts.decoys.states(None)
            if not one.on
        )
        return {"decoys_off": off}

    async def _touches(self, state: NodeState) -> dict[str, Any]:
        found: list[Touch] = []
        for rule in TOUCH_RULES:
            page = await self._parts.monitor.findings(
                ListFindings(rule=rule, since=state.now - TOUCH_DAYS * 86_400)
            )
            found += [Touch(project=one.project, by=one.entity, at=one.at) for one in page.findings]
        return {"touches": tuple(found)}

    # -- what is sent elsewhere ----------------------------------------------------------------

    async def _alerts(self, _state: NodeState) -> dict[str, Any]:
        found = await self._parts.monitor.alerts()
        silences = (
            Silence(rule=one.rule, until=one.until, reason=one.reason, by=one.by)
            for one in found.silences
        )
        channels = (Outlet(name=one.name, problem=one.problem) for one in found.channels)
        return {"channels": tuple(channels), "silences": tuple(silences)}

    async def _outlets(self, _state: NodeState) -> dict[str, Any]:
        status = self._parts.monitor.status
        if status is None:
            raise CasemateError("the monitor is not there")
        places = (Outlet(name=p.name, problem=p.problem, at=p.at) for p in status.places)
        exports = {
            one.name: Outlet(name=one.name, problem=one.problem)
            for one in sorted(status.exports, key=lambda one: bool(one.problem))
        }
        return {"places": tuple(places), "exports": tuple(exports.values())}

    # -- the host and what is kept -------------------------------------------------------------

    async def _host(self, state: NodeState) -> dict[str, Any]:
        today = datetime.fromtimestamp(state.now, UTC).date()
        hosts, pythons = await asyncio.to_thread(_ends, today, tuple(self._parts.config.pythons))
        disk = await asyncio.to_thread(shutil.disk_usage, self._parts.folder)
        found: dict[str, Any] = {
            "hosts": hosts,
            "pythons": pythons,
            "disk_free": disk.free,
            "disk_total": disk.total,
            "parts": self._parts.health().parts,
            "versions": await asyncio.to_thread(_versions),
        }
        try:
            found["clock_synchronised"] = clock.is_synchronised()
        except (OSError, AttributeError) as error:
            note = f"clock: {type(error).__name__}"
            found["notes"] = (*state.notes, note)
        return found

    async def _kept(self, _state: NodeState) -> dict[str, Any]:
        made = await self._parts.store.read(ReadNodeValue(name=BACKUP_MADE))
        vault = await self._parts.vault.status()
        return {
            "backup_at": float(made) if made else 0.0,
            "checked_at": self._parts.check.report().ended_at or 0.0,
            "data_keys_at": vault.oldest_data_key_at,
            "memory_locked": vault.memory_locked,
        }


def _in_force(token: Token, now: float) -> bool:
    ended = token.expires_at is not None and token.expires_at <= now
    return token.user is None and token.revoked_at is None and not ended


def _review(one: Holder, reviews: Reviews) -> ReviewState:
    last, projects = reviews.of(one), one.projects
    return ReviewState(
        id=one.id,
        kind=one.kind.value,
        project=next(iter(projects)) if len(projects) == 1 and not one.is_node_wide else "",
        due=reviews.due(one),
        own=last is not None and last.own,
    )


def _hole(one: LiveHole) -> HoleState:
    return HoleState(
        project=one.project,
        function=one.function,
        id=one.hole.id,
        package=f"{one.hole.package} {one.hole.version}",
        grave=one.hole.malicious or one.hole.known_exploited,
    )


def _ends(
    today: date, minors: tuple[str, ...]
) -> tuple[tuple[HostState, ...], tuple[tuple[str, float], ...]]:
    """Return how the host stands, and when versions of Python end. Reads files."""
    hosts = tuple(
        HostState(name=one.name, state=one.state.value, detail=one.detail)
        for one in host_today(today)
    )
    own = ".".join(platform.python_version_tuple()[:2])
    return hosts, tuple((minor, _end(end_of_life(minor)[0])) for minor in sorted({*minors, own}))


def _end(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _versions() -> dict[str, str]:
    return dict(_named_versions())


def _named_versions() -> Iterator[tuple[str, str]]:
    engine = library_versions()
    yield "Casemate", __version__
    yield "Python", platform.python_version()
    yield "OpenSSL of Python", ssl.OPENSSL_VERSION
    yield "OpenSSL of databases", engine.provider
    yield "SQLite", engine.sqlite
    yield "SQLCipher", engine.sqlcipher
    yield "kernel", f"{os.uname().sysname} {os.uname().release}"

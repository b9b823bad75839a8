"""The store against a plain in-memory reference, in any order of calls and restarts."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from store_samples import KEY, digest, new, token

from casemate.model.account import Token
from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, Version
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.operations.accounts import KeepToken, ReadTokens, RevokeTokens
from casemate.operations.deployments import ForgetFunction, KeepVersions, ShowAliasHistory
from casemate.operations.functions import ListFunctions, SetAlias, Target
from casemate.postgresql.settings import Settings
from casemate.store import Store
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.sqlite.store import SqliteStore

PROJECTS = st.sampled_from(["p", "q"])
FUNCTIONS = st.sampled_from(["f", "g"])
LETTERS = st.sampled_from("abc")
NUMBERS = st.integers(0, 6)
WEIGHTS = st.one_of(
    st.just([100]), st.just([95, 5]), st.just([0, 100]), st.lists(st.integers(0, 100), max_size=3)
)


class Reference:
    """What the port promises, in the plainest Python."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, str], int] = {}
        self.versions: dict[tuple[str, str], list[Version]] = {}
        self.aliases: dict[tuple[str, str, str], list[Alias]] = {}
        self.tokens: list[Token] = []

    def functions(self) -> tuple[DeployedFunction, ...]:
        return tuple(
            DeployedFunction(
                project=project,
                name=name,
                versions=tuple(self.versions[project, name]),
                aliases=tuple(
                    states[-1]
                    for (p, n, _), states in sorted(self.aliases.items())
                    if (p, n) == (project, name)
                ),
            )
            for project, name in sorted(self.versions)
        )

    def unreferenced(self, removed: list[Version]) -> tuple[str, ...]:
        left = {v.digest for versions in self.versions.values() for v in versions}
        return tuple(sorted({v.digest for v in removed} - left))


class ReferenceMachine(RuleBasedStateMachine):
    """What any adapter does, against the reference."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store: Store = self.opened()
        self.reference = Reference()
        self.count = 0

    def opened(self) -> Store:
        raise NotImplementedError

    def removed(self) -> None:
        raise NotImplementedError

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()
        self.removed()

    @rule(project=PROJECTS, function=FUNCTIONS, letter=LETTERS)
    def add_version(self, project: str, function: str, letter: str) -> None:
        wanted = new(project=project, function=function, digest=digest(letter))
        (version,) = self.runner.run(self.store.change(KeepVersions(versions=(wanted,), by="k")))
        name = (project, function)
        self.reference.last[name] = self.reference.last.get(name, 0) + 1
        assert version.number == self.reference.last[name]
        assert version.digest == digest(letter)
        self.reference.versions.setdefault(name, []).append(version)
        target = AliasTarget(version=version.number, weight=100)
        asked = ShowAliasHistory(project=project, function=function, name="live", limit=1)
        (newest,) = self.runner.run(self.store.read(asked))
        assert newest.targets == (target,)
        self.reference.aliases.setdefault((*name, "live"), []).append(newest)

    @rule(
        project=PROJECTS,
        function=FUNCTIONS,
        alias=st.sampled_from(["live", "beta"]),
        versions=st.lists(NUMBERS, max_size=3),
        weights=WEIGHTS,
    )
    def set_alias(
        self, project: str, function: str, alias: str, versions: list[int], weights: list[int]
    ) -> None:
        pairs = list(zip(versions, weights, strict=False))
        targets = tuple(AliasTarget(version=v, weight=w) for v, w in pairs)
        wanted = tuple(Target(version=v, weight=w) for v, w in pairs)
        call = self.store.change(
            SetAlias(project=project, function=function, name=alias, targets=wanted)
        )
        used = [t.version for t in targets]
        known = {v.number for v in self.reference.versions.get((project, function), [])}
        if sum(t.weight for t in targets) != 100 or len(set(used)) != len(used) or 0 in used:
            with pytest.raises(InvalidInputError):
                self.runner.run(call)
        elif not known.issuperset(used):
            with pytest.raises(NotFoundError):
                self.runner.run(call)
        else:
            state = self.runner.run(call)
            assert state.targets == targets
            self.reference.aliases.setdefault((project, function, alias), []).append(state)

    @rule(project=PROJECTS, function=FUNCTIONS)
    def remove_function(self, project: str, function: str) -> None:
        call = self.store.change(ForgetFunction(project=project, function=function))
        if (project, function) not in self.reference.versions:
            with pytest.raises(NotFoundError):
                self.runner.run(call)
            return
        removed = self.reference.versions.pop((project, function))
        for name in [n for n in self.reference.aliases if n[:2] == (project, function)]:
            del self.reference.aliases[name]
        assert self.runner.run(call) == self.reference.unreferenced(removed)

    @rule(token_id=st.sampled_from("xyz"), name=st.sampled_from(["one", "two"]))
    def add_token(self, token_id: str, name: str) -> None:
        self.count += 1
        new = token(token_id, name, created_at=float(self.count))
        taken = any(
            k.id == token_id or (k.name == name and k.revoked_at is None)
            for k in self.reference.tokens
        )
        if taken:
            with pytest.raises(ConflictError):
                self.runner.run(self.store.change(KeepToken(token=new)))
        else:
            self.runner.run(self.store.change(KeepToken(token=new)))
            self.reference.tokens.append(new)

    @rule(token_id=st.sampled_from("xyz"))
    def revoke_token(self, token_id: str) -> None:
        call = self.store.change(RevokeTokens(ids=(token_id,)))
        found = [i for i, k in enumerate(self.reference.tokens) if k.id == token_id]
        if not found:
            with pytest.raises(NotFoundError):
                self.runner.run(call)
            return
        (revoked,) = self.runner.run(call)
        before = self.reference.tokens[found[0]]
        if before.revoked_at is not None:
            assert revoked == before
        self.reference.tokens[found[0]] = msgspec.structs.replace(
            before, revoked_at=revoked.revoked_at
        )

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.close())
        self.store = self.opened()

    @invariant()
    def deployments_and_tokens_agree(self) -> None:
        assert (
            self.runner.run(self.store.read(ListFunctions())).functions
            == self.reference.functions()
        )
        assert self.runner.run(self.store.read(ReadTokens())) == tuple(self.reference.tokens)
        for (project, function, name), states in self.reference.aliases.items():
            history = self.runner.run(
                self.store.read(
                    ShowAliasHistory(project=project, function=function, name=name, limit=100)
                )
            )
            assert history == tuple(reversed(states))


class StoreMachine(ReferenceMachine):
    """And what SQLite alone does."""

    store: SqliteStore

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="casemate-store-"))
        self.path, self.key = self.folder / "s", KEY
        super().__init__()

    def opened(self) -> Store:
        return SqliteStore.open(self.path, key=self.key)

    def removed(self) -> None:
        shutil.rmtree(self.folder)

    @rule()
    def rekey(self) -> None:
        self.key = bytes(b ^ 0xFF for b in self.key)
        self.runner.run(self.store.rekey(self.key))

    @rule()
    def continue_from_a_snapshot(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.folder)) / "s"
        folder.mkdir()
        self.runner.run(self.store.snapshot(folder / "records.db"))
        self.runner.run(self.store.close())
        self.store = SqliteStore.open(folder, key=self.key)
        self.path = folder


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_the_store_on_a_server(empty_store: Callable[[], str]) -> None:
    class ServerMachine(ReferenceMachine):
        def __init__(self) -> None:
            self.place = Settings.of_url(empty_store())
            super().__init__()

        def opened(self) -> Store:
            return PostgresqlStore.open(self.place, cluster="tests")

        def removed(self) -> None:
            pass

    run_state_machine_as_test(
        ServerMachine,
        settings=settings(
            max_examples=2,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )

"""Whoever can write the control database decides nothing: each kind of change there is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from store_samples import new, token, user

from casemate.model.account import PolicyFile, UserRoles
from casemate.model.errors import NotFoundError
from casemate.model.principal import OWNER, RoleBinding
from casemate.model.signing import SigningRule
from casemate.operations.accounts import (
    ForgetUser,
    KeepToken,
    KeepUser,
    KeepUserRoles,
    ReadTokens,
    ReadUserRoles,
    ReadUsers,
    ReplaceUser,
    RevokeSessions,
    RevokeTokens,
)
from casemate.operations.attestations import KeepSigningRule, ReadSigningRules
from casemate.operations.deployments import ForgetFunction, KeepVersions
from casemate.operations.functions import ListFunctions, SetAlias, Target
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.operations.policies import KeepPolicy, ReadPolicies
from casemate.postgresql.settings import Settings
from casemate.store.errors import StoreProofError
from casemate.store.postgresql.proofs import Proofs, SeenFile, changes, rows
from casemate.store.postgresql.schema import PROOFS
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.sqlite import accounts, aliases, attestations, deployments, policies
from casemate.vault.interface import DataKey
from support.database import Server
from support.proved_store import KEY, proved

OWNS = UserRoles(user="mallory", bindings=(RoleBinding(role=OWNER),))
READS = (
    ReadUsers(),
    ReadUserRoles(),
    ReadTokens(),
    ReadPolicies(),
    ListFunctions(),
    ReadNodeValue(name="restrictions 1"),
    ReadSigningRules(),
)
Scene = Callable[[PostgresqlStore], Awaitable[None]]
Sql = Callable[..., Any]


@pytest.fixture(scope="module")
def writer(postgresql_server: Server, empty_store: Callable[[], str]) -> Iterator[Any]:
    """A connection of whoever can write the database, without a trigger in the way."""
    name = empty_store().split("?")[0].rsplit("/", 1)[1]
    with postgresql_server.connect(name) as connection:
        connection.execute("SET search_path = casemate_control")
        connection.execute("SET session_replication_role = replica")
        yield connection


@pytest.fixture
def sql(writer: Any, database: str) -> Sql:
    return lambda statement, *values: writer.execute(statement, values)


@pytest.fixture
def opened(database: str) -> Callable[..., PostgresqlStore]:
    def make(
        seen: SeenFile | None = None, *accepted: str, keys: dict[int, DataKey] | None = None
    ) -> PostgresqlStore:
        known = keys or {1: KEY}

        async def key_of(version: int) -> DataKey:
            if version not in known:
                raise NotFoundError("no such key")
            return known[version]

        proofs = Proofs(known[max(known)], seen or SeenFile(), accepted)
        store = PostgresqlStore.open(Settings.of_url(database), cluster="tests")
        return proved(store, proofs, key_of)

    return make


async def fill(store: PostgresqlStore) -> None:
    await store.change(KeepUser(user=user("ada")))
    await store.change(KeepUser(user=user("mallory")))
    await store.change(KeepUserRoles(roles=UserRoles(user="ada", bindings=OWNS.bindings)))
    await store.change(KeepToken(token=token("k1", user="ada", bindings=())))
    await store.change(KeepToken(token=token("k2", "deploys")))
    file = PolicyFile(name="no", text="forbid", changed_at=1.0, changed_by="user:ada")
    await store.change(KeepPolicy(file=file))
    for function in ("thumbs", "other"):
        await store.change(KeepVersions(versions=(new(function=function),), by="user:ada"))
    versions = (new(function="thumbs", digest="b" * 64),)
    await store.change(KeepVersions(versions=versions, by="user:ada"))
    await store.change(KeepNodeValue(name="restrictions 1", value=b"[1]"))
    for project, signers in (("plain", ()), ("signed", ("GitHub:a/b:c.yml",))):
        rule = SigningRule(project=project, keys=("0f" * 32,), threshold=1, signers=signers)
        await store.change(KeepSigningRule(rule=rule))


def on(store: PostgresqlStore, scene: Scene) -> None:
    async def run() -> None:
        try:
            await scene(store)
        finally:
            await store.close()

    asyncio.run(run())


async def refused(store: PostgresqlStore) -> int:
    """Return how many of all questions are refused; nothing else is wrong with them."""
    count = 0
    for question in READS:
        try:
            await store.read(question)
        except StoreProofError:
            count += 1
    return count


def told(store: PostgresqlStore) -> list[str]:
    reasons: list[str] = []
    assert store._duties.proofs is not None
    store._duties.proofs._refusals.clear()
    store._duties.proofs.on_refused = reasons.append
    return reasons


def keep(sql: Sql, tables: Iterable[str] = rows.TABLES) -> None:
    for table in tables:
        sql(f'DROP TABLE IF EXISTS "kept_{table}"')
        sql(f'CREATE TEMPORARY TABLE "kept_{table}" AS SELECT * FROM "{table}"')


def put_back(sql: Sql, tables: Iterable[str] = rows.TABLES) -> None:
    for table in tables:
        sql(f'DELETE FROM "{table}"')
        sql(f'INSERT INTO "{table}" SELECT * FROM "kept_{table}"')


TAMPERED = {
    "a role added": "INSERT INTO user_roles VALUES ('mallory', "
    "(SELECT bindings FROM user_roles WHERE \"user\" = 'ada'))",
    "a role renamed": "UPDATE user_roles SET \"user\" = 'mallory'",
    "a user added": "INSERT INTO \"user\" SELECT 'eve', password, totp, totp_last, oidc_issuer, "
    'oidc_subject, enrolment_sha256, enrolment_expires_at, created_at, disabled_at FROM "user" '
    "WHERE name = 'ada'",
    "a user enabled again": "UPDATE \"user\" SET disabled_at = 1 WHERE name = 'mallory'",
    "an enrolment": "UPDATE \"user\" SET enrolment_sha256 = 'x' WHERE name = 'ada'",
    "a user gone": "DELETE FROM \"user\" WHERE name = 'mallory'",
    "a token added": "INSERT INTO token SELECT 99, 'k9', name, sha256, \"user\", bindings, "
    "created_at, created_by, expires_at, revoked_at, last_used_at, made_with FROM token "
    "WHERE id = 'k2'",
    "a token's hash": "UPDATE token SET sha256 = repeat('0', 64) WHERE id = 'k2'",
    "a token's owner": "UPDATE token SET \"user\" = 'mallory' WHERE id = 'k1'",
    "a token's end": "UPDATE token SET expires_at = 9e9 WHERE id = 'k2'",
    "hashes exchanged": "UPDATE token SET bindings = (SELECT bindings FROM token AS o "
    "WHERE o.id <> token.id)",
    "a policy changed": "UPDATE policy_file SET text = 'permit'",
    "a policy gone": "DELETE FROM policy_file",
    "a policy added": "INSERT INTO policy_file SELECT 'b', text, changed_at, changed_by "
    "FROM policy_file",
    "a digest": "UPDATE version SET digest = repeat('c', 64) WHERE number = 2",
    "a specification": "UPDATE version SET spec = replace(spec, 'true', 'false')",
    "versions exchanged": "UPDATE version SET digest = (SELECT digest FROM version AS o "
    "WHERE o.number = 3 - version.number AND o.function = 'thumbs') WHERE function = 'thumbs'",
    "an alias moved": "UPDATE alias_target SET version = 1 WHERE function = 'thumbs'",
    "an alias put back": "DELETE FROM alias_target WHERE state = (SELECT max(id) FROM "
    "alias_state); DELETE FROM alias_state WHERE id = (SELECT max(id) FROM alias_state)",
    "a value changed": "UPDATE node_value SET value = '[2]'::bytea",
    "a value gone": "DELETE FROM node_value",
    "a signer gone": "UPDATE signing_rule SET signers = '[]'",
    "a signer added": "UPDATE signing_rule SET signers = '[\"GitLab:x/y:z\"]' "
    "WHERE project = 'plain'",
    "a trial of no form": "UPDATE alias_state SET trial = '' WHERE function = 'thumbs'",
    "roles of no form": "UPDATE user_roles SET bindings = '{'",
    "a specification of no form": "UPDATE version SET spec = '[' WHERE number = 1",
    "signers of no form": "UPDATE signing_rule SET signers = '' WHERE project = 'plain'",
    "another trusted root": "UPDATE signing_rule SET trusted_root = '{}' WHERE project = 'plain'",
}


def test_a_row_that_no_node_has_written_is_refused_and_told(
    opened: Callable[..., PostgresqlStore], sql: Sql
) -> None:
    async def scene(store: PostgresqlStore) -> None:
        await fill(store)
        assert await refused(store) == 0
        keep(sql)
        for what, statement in TAMPERED.items():
            sql(statement)
            reasons = told(store)
            assert await refused(store) == 1, what
            assert await refused(store) == 1, what  # asking again does not help
            assert len(reasons) == 1, what  # and is told once
            if what in ("a role added", "an alias put back", "a value gone"):
                with pytest.raises(StoreProofError, match="not believed"):
                    await asyncio.to_thread(opened)  # which has seen nothing yet
            put_back(sql)
            assert await refused(store) == 0, what

    on(opened(), scene)


def test_a_rule_without_signers_is_proved_as_before_there_were_any() -> None:
    before = ("shop", '["0f"]', 1)
    assert rows.rule_item((*before, "[]", "")) == rows.rule_item(before)
    for more in (('["x"]', ""), ("[]", "{}")):
        assert rows.rule_item((*before, *more)).values == (*before, *more)


def test_a_value_that_was_removed_elsewhere_or_exchanged_is_refused(
    opened: Callable[..., PostgresqlStore], sql: Sql
) -> None:
    async def scene(store: PostgresqlStore) -> None:
        await store.change(KeepNodeValue(name="restrictions 1", value=b"[1]"))
        await store.change(KeepNodeValue(name="restrictions 2", value=b"[2]"))
        sql("UPDATE node_value SET value = translate(encode(value, 'escape'), '12', '21')::bytea")
        with pytest.raises(StoreProofError):
            await store.read(ReadNodeValue(name="restrictions 1"))
        assert await store.read(ReadNodeValue(name="never there")) is None

    on(opened(), scene)


@pytest.mark.parametrize(
    ("table", "undone"),
    [
        ("token", RevokeTokens(ids=("k2",))),
        ("token", RevokeSessions(user="ada")),
        ("user", ReplaceUser(user=user("mallory", disabled_at=2.0))),
        ("user_roles", KeepUserRoles(roles=UserRoles(user="ada", bindings=()))),
        ("node_value", KeepNodeValue(name="restrictions 1", value=b"[1, 2]")),
        (
            "policy_file",
            KeepPolicy(
                file=PolicyFile(name="no", text="forbid all", changed_at=2.0, changed_by="user:ada")
            ),
        ),
    ],
)
def test_a_row_that_is_put_back_to_what_it_was_is_refused(
    opened: Callable[..., PostgresqlStore], sql: Sql, table: str, undone: Any
) -> None:
    async def scene(store: PostgresqlStore) -> None:
        await fill(store)
        keep(sql, (table,))
        await store.change(undone)
        assert await refused(store) == 0
        put_back(sql, (table,))
        assert await refused(store) == 1

    on(opened(), scene)


def test_the_whole_put_back_is_refused_by_whoever_has_seen_more(
    opened: Callable[..., PostgresqlStore], sql: Sql, tmp_path: Path
) -> None:
    seen = tmp_path / "control.proof"
    tables = (*rows.TABLES, *PROOFS)

    async def revoke(store: PostgresqlStore) -> None:
        await fill(store)
        keep(sql, tables)
        await store.change(RevokeTokens(ids=("k2",)))
        put_back(sql, tables)
        assert await refused(store) >= 1
        with pytest.raises(StoreProofError, match="was seen"):
            await store.read(ReadTokens())
        with pytest.raises(StoreProofError, match="was seen"):
            await store.change(KeepToken(token=token("k3", "third")))

    on(opened(SeenFile(seen)), revoke)
    with pytest.raises(StoreProofError, match="was seen") as error:
        opened(SeenFile(seen))
    name = str(error.value).rsplit(" ", 1)[1].rstrip(".")
    with pytest.raises(StoreProofError, match="was seen"):
        opened(SeenFile(seen), "control/0123456789abcdef")

    async def works(store: PostgresqlStore) -> None:
        assert await refused(store) == 0
        await store.change(RevokeTokens(ids=("k2",)))

    on(opened(SeenFile(seen), name), works)
    on(opened(SeenFile(seen)), works)  # it was accepted once
    on(opened(), works)  # whoever has seen nothing would have taken it


def test_an_emptied_database_and_one_without_proof_are_refused(
    opened: Callable[..., PostgresqlStore], sql: Sql, tmp_path: Path
) -> None:
    seen = tmp_path / "control.proof"
    on(opened(SeenFile(seen)), fill)
    for table in PROOFS:
        sql(f"DELETE FROM {table}")
    with pytest.raises(StoreProofError, match="nothing proves its rows"):
        opened()
    for table in rows.TABLES:
        sql(f'DELETE FROM "{table}"')
    with pytest.raises(StoreProofError, match="nothing proves its rows"):
        opened(SeenFile(seen))


def test_changes_by_another_node_are_taken_however_many(
    opened: Callable[..., PostgresqlStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        one, other = opened(), opened()
        try:
            await fill(one)
            assert await refused(other) == 0
            await other.change(RevokeTokens(ids=("k1",)))
            await one.change(ForgetUser(user="ada"))
            await other.change(ForgetFunction(project="demo", function="thumbs"))
            await one.change(KeepUser(user=user("ada")))
            assert await refused(one) == await refused(other) == 0
            await one.change(RevokeSessions(user="nobody"))
            monkeypatch.setattr("casemate.store.postgresql.proofs.head.KEPT", 2)
            for number in range(70):
                await one.change(KeepNodeValue(name=f"n {number}", value=b"1"))
            assert await refused(other) == 0
        finally:
            await one.close()
            await other.close()

    asyncio.run(scene())


def test_missing_or_foreign_changes_are_not_skipped(
    opened: Callable[..., PostgresqlStore], sql: Sql
) -> None:
    async def scene() -> None:
        one, other = opened(), opened()
        try:
            await one.change(KeepUser(user=user("ada")))
            await other.read(ReadUsers())
            await one.change(KeepUser(user=user("bob")))
            await one.change(KeepUser(user=user("eve")))
            sql(
                "UPDATE proof_change SET content = (SELECT content FROM proof_change AS o "
                "WHERE o.generation = proof_change.generation - 1) WHERE generation = 4"
            )
            with pytest.raises(StoreProofError, match="did not come"):
                await other.read(ReadUsers())
            sql("DELETE FROM proof_change WHERE generation = 4")
            with pytest.raises(StoreProofError, match="missing"):
                await other.read(ReadUsers())
        finally:
            await one.close()
            await other.close()

    asyncio.run(scene())


def test_what_the_database_makes_of_a_change_is_not_proved(
    opened: Callable[..., PostgresqlStore], sql: Sql
) -> None:
    """A trigger of the attacker's writes along with each honest change."""
    sql(
        "CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO casemate_control.user_roles VALUES (NEW.name, "
        '\'[{"role": "owner"}]\'); RETURN NULL; END $$'
    )
    sql('CREATE TRIGGER evil AFTER INSERT ON "user" FOR EACH ROW EXECUTE FUNCTION evil()')

    async def scene(store: PostgresqlStore) -> None:
        await store.change(KeepUser(user=user("mallory")))
        with pytest.raises(StoreProofError):
            await store.read(ReadUserRoles())

    try:
        on(opened(), scene)
    finally:
        sql('DROP TRIGGER evil ON "user"')
        sql("DROP FUNCTION evil()")


def test_what_a_revocation_answers_is_proved_as_well(
    opened: Callable[..., PostgresqlStore], sql: Sql
) -> None:
    """The answer goes to memory: a forged one would be a token in force with other rights."""
    sql(
        "CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "NEW.revoked_at := NULL; RETURN NEW; END $$"
    )

    async def scene(store: PostgresqlStore) -> None:
        await fill(store)
        keep(sql, ("token",))
        sql("UPDATE token SET bindings = '[{\"role\": \"owner\"}]' WHERE id = 'k2'")
        with pytest.raises(StoreProofError):
            await store.change(RevokeTokens(ids=("k2",)))
        put_back(sql, ("token",))
        sql("CREATE TRIGGER evil BEFORE UPDATE ON token FOR EACH ROW EXECUTE FUNCTION evil()")
        with pytest.raises(StoreProofError):
            await store.change(RevokeTokens(ids=("k2",)))
        sql("DROP TRIGGER evil ON token")
        (revoked,) = await store.change(RevokeTokens(ids=("k2",)))
        assert revoked.revoked_at is not None and await refused(store) == 0

    try:
        on(opened(), scene)
    finally:
        sql("DROP FUNCTION evil() CASCADE")


def test_a_change_that_rests_on_what_was_forged_is_refused(
    opened: Callable[..., PostgresqlStore], sql: Sql
) -> None:
    async def scene(store: PostgresqlStore) -> None:
        await fill(store)
        sql("DELETE FROM \"user\" WHERE name = 'mallory'")
        with pytest.raises(StoreProofError, match="nodes have it"):
            await store.change(KeepUser(user=user("mallory")))
        sql(
            "INSERT INTO version SELECT project, function, 9, digest, spec, created_at, "
            "created_by FROM version WHERE number = 2"
        )
        alias = SetAlias(
            project="demo", function="thumbs", name="live", targets=(Target(version=9, weight=100),)
        )
        with pytest.raises(StoreProofError, match="no node has written"):
            await store.change(alias)

    on(opened(), scene)


def test_another_key_of_the_vault_proves_from_the_next_start(
    opened: Callable[..., PostgresqlStore],
) -> None:
    keys = {1: KEY}
    newer = DataKey(version=2, key=bytes([2]) * 32)

    async def scene() -> None:
        one = opened(keys=keys)
        await fill(one)
        keys[2] = newer  # in the vault of all of them
        other = opened(keys=keys)
        try:
            assert await refused(one) == await refused(other) == 0
            await one.change(RevokeTokens(ids=("k1",)))
            assert await refused(other) == 0
        finally:
            await one.close()
            await other.close()

    asyncio.run(scene())
    with pytest.raises(StoreProofError, match="not believed"):
        opened(keys={2: DataKey(version=2, key=bytes(32))})  # another vault's


def test_a_key_that_the_vault_has_not_is_refused(
    opened: Callable[..., PostgresqlStore], sql: Sql
) -> None:
    async def scene(store: PostgresqlStore) -> None:
        await fill(store)
        sql("UPDATE proof SET key = 9, generation = generation + 2000")
        sql("DELETE FROM \"user\" WHERE name = 'mallory'")
        with pytest.raises(StoreProofError, match="its key 9 is none of the vault's"):
            await store.read(ReadUsers())

    on(opened(), scene)


def test_a_damaged_file_of_what_was_seen_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "control.proof"
    SeenFile(path).note(7, bytes(32))
    assert (SeenFile(path).generation, SeenFile(path).code) == (7, bytes(32))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreProofError, match="control/damaged"):
        SeenFile(path)
    assert SeenFile(path, forget=True).generation == 0


def test_every_statement_that_changes_what_is_proved_is_known() -> None:
    for module in (accounts, aliases, attestations, deployments, policies):
        for statement in vars(module).values():
            if isinstance(statement, str):
                changes.event_of(statement, ())
    with pytest.raises(StoreProofError, match="fault of Casemate"):
        changes.event_of("UPDATE user_roles SET bindings = ?", ("[]",))


def test_no_code_is_shown_to_the_database(opened: Callable[..., PostgresqlStore], sql: Sql) -> None:
    async def scene(store: PostgresqlStore) -> None:
        await fill(store)
        assert store._duties.proofs is not None
        register = store._duties.proofs._writes
        assert register is not None
        kept = b"".join(row[0] for row in sql("SELECT content FROM proof_change").fetchall())
        known = [code for codes in register._codes.values() for _, code in codes.values()]
        assert known and not any(code in kept for code in known)

    on(opened(), scene)

"""Who may deploy with whose signature, once; and what is started after a key is revoked."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
import pytest
from vouching_node import ADA, BOB, CI, NOW, SBOM, Node, OnNode, manifest, play

from casemate.model.bundle import BundleManifest
from casemate.model.deployment import NewVersion, Version
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError, QuotaError
from casemate.model.facts import (
    BuilderKeyAdded,
    BuilderKeyRevoked,
    BundleTampered,
    SigningRuleChanged,
)
from casemate.model.signing import NODE_KEY, SigningRule
from casemate.operations.attestations import KeepAttestations
from casemate.operations.deployments import KeepVersions
from casemate.signing import SignatureError, proof_of
from casemate.supply import NotVouchedError, UnsignedError, signatures
from casemate.supply.keys import MAX_IN_FORCE
from support.signing import attestation


@pytest.fixture
def on_node() -> OnNode:
    return play


def test_who_signed_deploys_and_it_starts(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.bring(ADA, key)
        version = await node.deploy(ADA)
        await node.signatures.require(version)
        node.open()
        await node.signatures.load()
        await node.signatures.require(version)
        (added,) = node.facts(BuilderKeyAdded)
        assert (added.key, added.first, added.by) == (key.id, True, "user:ada")

    on_node(scene)


def test_a_first_start_finds_looked_at_what_was_deployed(
    on_node: OnNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.bring(ADA, key)
        version, nobodys = await node.deploy(ADA), of(manifest(function="other"), 1)
        node.signatures.look_ahead([nobodys, version])
        while node.signatures._looking.task and not node.signatures._looking.task.done():
            await asyncio.sleep(0)
        (told,) = node.facts(BundleTampered)
        assert told.digest == nobodys.digest, "one that does not count keeps none from being seen"
        asked: list[object] = []
        read = node.store.read
        monkeypatch.setattr(node.store, "read", lambda one: asked.append(one) or read(one))
        await node.signatures.require(version)
        assert asked == [], "nothing is left for whoever waits for a first call"
        with pytest.raises(NotVouchedError):
            await node.signatures.require(nobodys)
        assert asked
        # What was found is forgotten with the next key, however it was found.
        await node.enrol(ADA)
        del asked[:]
        await node.signatures.require(version)
        assert asked
        await node.signatures.close()

    on_node(scene)


def test_without_a_signature_nothing_is_deployed_or_started(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(UnsignedError, match="not signed by a key of user:ada"):
            await node.deploy(ADA)
        with pytest.raises(NotVouchedError):
            await node.signatures.require(of(manifest(), 0))
        with pytest.raises(NotVouchedError, match="no signature"):
            await node.signatures.require(of(manifest(), 1))
        (told,) = node.facts(BundleTampered)
        assert (told.what, told.version) == ("signature", 1)

    on_node(scene)


def of(what: BundleManifest, number: int) -> Version:
    return Version(
        project=what.project,
        function=what.function.name,
        number=number,
        digest=what.digest(),
        spec=what.function,
        created_at=NOW,
        created_by="k",
    )


def test_a_signature_of_somebody_else_is_not_enough(on_node: OnNode) -> None:
    """Bob takes Ada's old bundle with her signature, and can deploy: it stays where it is."""

    async def scene(node: Node) -> None:
        ada, bob = await node.enrol(ADA), await node.enrol(BOB)
        sent = await node.bring(ADA, ada)
        with pytest.raises(UnsignedError):
            await node.deploy(BOB)
        with pytest.raises(ConflictError, match="brought before"):
            await node.send(BOB, manifest(), sent)
        # Her key is none of his: he cannot prove it.
        public = base64.b64encode(ada.public).decode()
        with pytest.raises(InvalidInputError):
            await node.keys.enrol(public, proof_of(bob, "bb"), "x", by=BOB, token="bb")
        await node.bring(BOB, bob)
        await node.deploy(BOB)

    on_node(scene)


def test_a_signature_is_for_one_deploy(on_node: OnNode) -> None:
    """With Ada's stolen token, but not her key, an old bundle of hers cannot be made live again."""

    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        sent = await node.bring(ADA, key)
        await node.deploy(ADA)
        with pytest.raises(UnsignedError):
            await node.deploy(ADA)
        with pytest.raises(ConflictError, match="brought before"):
            await node.send(ADA, manifest(), sent)
        # After the version is gone, and all that is kept of it, it is too old.
        node.store.connection.execute("DELETE FROM alias_state")
        node.store.connection.execute("DELETE FROM alias_target")
        node.store.connection.execute("DELETE FROM version")
        node.now += signatures.KEPT_SECONDS + 60
        await node.bring(ADA, key, manifest(function="g"))
        assert await node.signatures.of(manifest().digest()) == ()
        with pytest.raises(SignatureError, match="days ago"):
            await node.send(ADA, manifest(), sent)

    on_node(scene)


def test_a_signature_is_for_one_deploy_though_the_clock_was_ahead(on_node: OnNode) -> None:
    """Whoever brought anything meanwhile had what was used forgotten, and it was new again."""

    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        sent = await node.bring(ADA, key)
        await node.deploy(ADA)
        for table in ("alias_state", "alias_target", "version"):
            node.store.connection.execute(f"DELETE FROM {table}")
        node.ahead = signatures.KEPT_SECONDS + 60
        await node.bring(ADA, key, manifest(function="g"))
        node.ahead = 0.0
        with pytest.raises(ConflictError, match="brought before"):
            await node.send(ADA, manifest(), sent)

    on_node(scene)


def test_the_same_signature_twice_at_once_makes_one_version(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.bring(ADA, await node.enrol(ADA))

        async def document() -> dict[str, Any]:
            return msgspec.json.decode(SBOM)

        admitted = await node.signatures.admit(manifest(), by=ADA, sbom=document)
        new = NewVersion(
            project="t",
            function="f",
            digest=manifest().digest(),
            spec=manifest().function,
            vouchers=admitted.vouchers,
        )
        await node.store.change(KeepVersions(versions=(new,), by="x"))
        with pytest.raises(ConflictError, match="used for another deploy"):
            await node.store.change(KeepVersions(versions=(new,), by="x"))

    on_node(scene)


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (-31 * 86_400.0, r"31\.0 days ago, by the clock of this node, where it is 2027-01-15"),
        (2 * 86_400.0, r"2\.0 days later than the clock of this node says, where it is 2027-01-15"),
    ],
)
def test_too_old_or_from_tomorrow(on_node: OnNode, offset: float, words: str) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        with pytest.raises(SignatureError, match=words) as caught:
            await node.bring(ADA, key, at=node.now + offset)
        assert "the clock that is wrong" in (caught.value.next_step or "")
        await node.bring(ADA, key)
        node.now += 31 * 86_400.0
        with pytest.raises(UnsignedError, match="days ago, by the clock of this node"):
            await node.deploy(ADA)

    on_node(scene)


def test_a_key_is_of_who_brings_it_though_the_clock_was_set_back(on_node: OnNode) -> None:
    """And still is of nobody who gets the name after that."""

    async def scene(node: Node) -> None:
        node.since["token:c1"] = NOW
        node.now = NOW - 3600
        key = await node.enrol(CI)
        await node.bring(CI, key)
        await node.signatures.require(await node.deploy(CI))
        node.since["token:c1"] = NOW + 1
        await node.bring(CI, key, manifest(function="g"))
        with pytest.raises(UnsignedError, match="not signed by a key of token:c1"):
            await node.deploy(CI, manifest(function="g"))

    on_node(scene)


def test_another_sbom_than_that_of_the_bundle_is_refused(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        await node.bring(ADA, await node.enrol(ADA))
        with pytest.raises(UnsignedError, match="SBOM is not that of the bundle"):
            await node.deploy(ADA, sbom=b'{"bomFormat":"CycloneDX","components":[1]}')

    on_node(scene)


def test_a_provenance_of_another_function_is_refused(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        other = attestation(manifest("u"), SBOM, key=key, at=node.now)
        with pytest.raises(SignatureError, match="something else"):
            await node.send(ADA, manifest(), other)

    on_node(scene)


# -- keys ----------------------------------------------------------------------------------------


def test_a_revoked_key_deploys_nothing_and_does_not_come_back(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.bring(ADA, key)
        version = await node.deploy(ADA)
        await node.bring(ADA, key)
        node.now += 10
        await node.keys.revoke(key.id, "the laptop is gone", None, by=BOB)
        with pytest.raises(UnsignedError):
            await node.deploy(ADA)
        for by in (ADA, BOB):
            with pytest.raises(ConflictError, match="revoked"):
                await node.enrol(by, key)
        # What ran before goes on: nobody says that it was signed by a thief.
        await node.signatures.require(version)
        (revoked,) = node.facts(BuilderKeyRevoked)
        assert (revoked.by, revoked.since, revoked.reason) == (
            "user:bob",
            node.now,
            "the laptop is gone",
        )

    on_node(scene)


def test_what_a_thief_may_have_signed_is_started_no_more(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.bring(ADA, key)
        old = await node.deploy(ADA)
        stolen = node.now = node.now + 1000
        node.now += 10
        await node.bring(ADA, key, manifest(description="evil"))
        new = await node.deploy(ADA, manifest(description="evil"))
        await node.signatures.require(new)
        node.now += 10
        await node.keys.revoke(key.id, "it was stolen", stolen, by=BOB)
        await node.signatures.require(old)
        for _ in range(3):
            with pytest.raises(NotVouchedError, match="is revoked"):
                await node.signatures.require(new)
        assert [fact.digest for fact in node.facts(BundleTampered)] == [new.digest]
        # Somebody else looks at it, and vouches for it.
        await node.bring(BOB, await node.enrol(BOB), manifest(description="evil"))
        await node.deploy(BOB, manifest(description="evil"))
        await node.signatures.require(new)

    on_node(scene)


def test_since_when_a_key_does_not_count_only_goes_back(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.keys.revoke(key.id, "a first guess", NOW - 100, by=ADA)
        (again,) = await node.keys.revoke(key.id, "back to normal", NOW + 100, by=ADA)
        assert again.since == NOW - 100
        with pytest.raises(NotFoundError):
            await node.keys.revoke("0" * 64, "no such key", None, by=ADA)

    on_node(scene)


def test_keys_of_somebody_who_had_the_name_before_are_not_theirs(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.bring(ADA, key)
        node.since["user:ada"] = NOW + 1
        with pytest.raises(UnsignedError):
            await node.deploy(ADA)
        del node.since["user:ada"]
        assert not node.keys.counts(key.id)

    on_node(scene)


def test_one_key_of_a_machine_can_be_of_a_person_and_a_token(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.enrol(CI, key)
        assert {one.principal for one in node.keys.of_id(key.id)} == {"user:ada", "token:c1"}
        await node.keys.revoke(key.id, "for both of them", None, by=ADA)
        assert not node.keys.is_of(key.id, "token:c1")

    on_node(scene)


def test_builds_that_begin_from_nothing_leave_a_bounded_number_of_keys(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        made = []
        for _ in range(MAX_IN_FORCE + 3):
            made.append(await node.enrol(CI))
            node.now += 1
        in_force = [key.id for key in node.keys.all() if key.revoked_at is None]
        assert in_force == [key.id for key in made[3:]]
        assert [fact.first for fact in node.facts(BuilderKeyAdded)].count(True) == 1

    on_node(scene)


def test_how_much_may_wait_is_bounded(on_node: OnNode, monkeypatch) -> None:
    monkeypatch.setattr(signatures, "MAX_WAITING", 2)

    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.bring(ADA, key)
        await node.bring(ADA, key)
        with pytest.raises(QuotaError):
            await node.bring(ADA, key)
        await node.bring(BOB, await node.enrol(BOB))

    on_node(scene)


def test_what_there_is_no_room_for_is_not_read(on_node: OnNode, monkeypatch) -> None:
    monkeypatch.setattr(signatures, "MAX_WAITING", 1)

    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.bring(ADA, key)
        read: list[str] = []
        monkeypatch.setattr(signatures, "read_vouched", lambda digest, *_: read.append(digest))
        with pytest.raises(QuotaError, match="has brought 1 attestations"):
            await node.bring(ADA, key)
        assert read == []

    on_node(scene)


@pytest.mark.parametrize(
    ("signs", "keys", "needed"),
    [("bob", (), 0), ("bob", ("ada", "ci"), 1), ("ada", ("ada", "ci"), 2), ("", (), 0)],
)
def test_no_sbom_is_made_for_who_may_not_deploy_with_what_was_signed(
    on_node: OnNode, signs: str, keys: tuple[str, ...], needed: int
) -> None:
    """To make one takes seconds for a large bundle, and was done before it was asked whose key."""

    async def scene(node: Node) -> None:
        whose = {"ada": ADA, "bob": BOB, "ci": CI}
        enrolled = {name: await node.enrol(by) for name, by in whose.items()}
        if keys:
            named = tuple(enrolled[name].id for name in keys)
            rule = SigningRule(project="t", keys=named, threshold=needed)
            await node.signatures.set_rule(rule, by=ADA)
        if signs:
            await node.bring(whose[signs], enrolled[signs])
        made: list[None] = []

        async def document() -> dict[str, Any]:
            made.append(None)
            return msgspec.json.decode(SBOM)

        with pytest.raises(UnsignedError):
            await node.signatures.admit(manifest(), by=ADA, sbom=document)
        assert made == []

    on_node(scene)


# -- rules ---------------------------------------------------------------------------------------


def test_a_project_asks_for_two_of_three(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        ada, bob, ci = [await node.enrol(who) for who in (ADA, BOB, CI)]
        rule = SigningRule(project="t", keys=(ada.id, bob.id, ci.id), threshold=2)
        await node.signatures.set_rule(rule, by=ADA)
        await node.bring(ADA, ada)
        with pytest.raises(UnsignedError, match="signed by 1 of the keys"):
            await node.deploy(ADA)
        # Twice by one is not by two.
        await node.bring(ADA, ada)
        with pytest.raises(UnsignedError, match="signed by 1 of the keys"):
            await node.deploy(ADA)
        await node.bring(CI, ci)
        node.open()
        await node.signatures.load()
        version = await node.deploy(BOB)  # who has the right to, whoever signed
        await node.signatures.require(version)
        (told,) = node.facts(SigningRuleChanged)
        assert (told.project, told.threshold) == ("t", 2)
        # One of the two is not to be trusted any more: one is too few for it.
        await node.keys.revoke(ci.id, "it was stolen", NOW - 10, by=ADA)
        with pytest.raises(NotVouchedError, match="1 of 2"):
            await node.signatures.require(version)
        # Other projects are as they were.
        await node.bring(ADA, ada, manifest("u"))
        await node.deploy(ADA, manifest("u"))

    on_node(scene)


def test_a_key_that_is_not_of_the_rule_does_not_count(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        ada, ci = await node.enrol(ADA), await node.enrol(CI)
        rule = SigningRule(project="t", keys=(ci.id,), threshold=1)
        await node.signatures.set_rule(rule, by=ADA)
        await node.bring(ADA, ada)
        with pytest.raises(UnsignedError, match="signed by 0"):
            await node.deploy(ADA)
        await node.signatures.set_rule(SigningRule(project="t"), by=ADA)
        await node.deploy(ADA)

    on_node(scene)


def test_rules_that_cannot_be_met_are_refused(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        for keys, threshold, error in (
            ((key.id, key.id), 1, InvalidInputError),
            ((key.id,), 2, InvalidInputError),
            (("0" * 64,), 1, NotFoundError),
        ):
            rule = SigningRule(project="t", keys=keys, threshold=threshold)
            with pytest.raises(error):
                await node.signatures.set_rule(rule, by=ADA)

    on_node(scene)


# -- what was there before, and what is stored ----------------------------------------------------


async def _old_version(node: Node, what: BundleManifest) -> Version:
    new = NewVersion(
        project="t", function=what.function.name, digest=what.digest(), spec=what.function
    )
    (version,) = await node.store.change(KeepVersions(versions=(new,), by="x"))
    return version


def test_what_was_deployed_before_has_the_nodes_own_word_once(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        old = await _old_version(node, manifest())
        await node.signatures.load()
        await node.signatures.require(old)
        (kept,) = await node.signatures.of(old.digest)
        (key,) = node.keys.all()
        assert kept.principal == key.principal == NODE_KEY and kept.sbom is None
        # From now on nobody's word is missing unless it was taken away.
        late = await _old_version(node, manifest(description="late"))
        node.open()
        await node.signatures.load()
        await node.signatures.require(old)
        with pytest.raises(NotVouchedError):
            await node.signatures.require(late)
        with pytest.raises(NotFoundError):
            await node.keys.revoke(key.id, "not of anybody", None, by=ADA)

    on_node(scene)


def test_a_start_that_is_killed_half_way_goes_on(on_node: OnNode, monkeypatch) -> None:
    monkeypatch.setattr(signatures, "_BATCH", 1)

    async def scene(node: Node) -> None:
        versions = [await _old_version(node, manifest(description=d)) for d in "abc"]
        change, left = node.store.change, [2]

        async def dies(operation: Any) -> Any:
            if isinstance(operation, KeepAttestations):
                left[0] -= 1
                if left[0] < 0:
                    raise OSError("killed")
            return await change(operation)

        node.store.change = dies  # type: ignore[method-assign]
        with pytest.raises(OSError, match="killed"):
            await node.signatures.load()
        node.store.change = change  # type: ignore[method-assign]
        node.open()
        await node.signatures.load()
        for version in versions:
            await node.signatures.require(version)

    on_node(scene)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM attestation",
        "DELETE FROM builder_key",
        "UPDATE attestation SET used_at = NULL",
        "UPDATE attestation SET provenance = CAST(replace(provenance, 'A', 'B') AS BLOB)",
        "UPDATE attestation SET sbom = NULL",
        "UPDATE attestation SET statement = 'x'",
        "UPDATE attestation SET keys = '[\"00\"]'",
        "UPDATE builder_key SET principal = 'node'",
        "UPDATE attestation SET needed = 2",
    ],
)
def test_what_is_stored_has_to_hold_at_each_start(on_node: OnNode, damage: str) -> None:
    async def scene(node: Node) -> None:
        await node.signatures.load()
        await node.bring(ADA, await node.enrol(ADA))
        version = await node.deploy(ADA)
        node.store.connection.execute(damage)
        node.open()
        await node.signatures.load()
        with pytest.raises((NotVouchedError, ValueError)):
            await node.signatures.require(version)

    on_node(scene)


@pytest.mark.parametrize("sbom", [SBOM, b'{"bomFormat":"another"}', None])
def test_the_sbom_of_a_bundle_is_made_once_however_many_have_signed(
    on_node: OnNode, sbom: bytes | None
) -> None:
    async def scene(node: Node) -> None:
        keys = [await node.enrol(by) for by in (ADA, BOB, CI)]
        await node.signatures.set_rule(
            SigningRule(project="t", keys=tuple(key.id for key in keys), threshold=3), by=ADA
        )
        for by, key in zip((ADA, BOB, CI), keys, strict=True):
            await node.bring(by, key)
        made: list[bool] = []

        async def document() -> dict[str, Any]:
            made.append(True)
            if sbom is None:
                raise InvalidInputError("The bundle has no SBOM")
            return msgspec.json.decode(sbom)

        admitting = node.signatures.admit(manifest(), by=ADA, sbom=document)
        if sbom == SBOM:
            assert len((await admitting).vouchers) == 3
        else:
            with pytest.raises(UnsignedError, match="SBOM"):
                await admitting
        assert len(made) == 1

    on_node(scene)


# -- before a build --------------------------------------------------------------------------------


async def possible(node: Node, key: str | None, by: Any = ADA, *, sigstore: bool = False) -> str:
    """Return what any bundle would be refused for; empty if one may be deployed."""
    try:
        await node.signatures.require_possible("t", key, by, sigstore=sigstore)
    except (UnsignedError, ConflictError, QuotaError) as error:
        assert error.next_step
        return error.message
    return ""


def test_without_a_rule_whoever_deploys_signs(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        assert [await possible(node, one) for one in (key.id, "0" * 64, None)] == ["", "", ""]
        await node.keys.revoke(key.id, "it was stolen", None, by=ADA)
        assert f"{key.id[:12]} was revoked" in await possible(node, key.id)

    on_node(scene)


def test_a_key_that_is_none_of_the_rules_is_told_before_a_build(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        ada, bob = await node.enrol(ADA), await node.enrol(BOB)
        await node.signatures.set_rule(
            SigningRule(project="t", keys=(ada.id, bob.id), threshold=1), by=ADA
        )
        assert await possible(node, ada.id) == ""
        refused = await possible(node, "0" * 64, CI)
        assert "1 of 2 keys" in refused and "there would be 0" in refused
        assert "Yours, 000000000000, is none of them" in refused
        assert "this machine would make is none of them" in await possible(node, None, CI)
        # It may be on the very bundle that CI builds.
        await node.bring(ADA, ada)
        assert await possible(node, "0" * 64, CI) == ""
        await node.deploy(CI)
        assert await possible(node, "0" * 64, CI), "that was used"

    on_node(scene)


def test_enough_keys_have_to_have_signed_what_waits(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        ada, bob, ci = await node.enrol(ADA), await node.enrol(BOB), await node.enrol(CI)
        await node.signatures.set_rule(
            SigningRule(project="t", keys=(ada.id, bob.id), threshold=2), by=ADA
        )
        assert "there would be 1." in await possible(node, ada.id)
        await node.bring(CI, ci)
        assert await possible(node, ada.id), "it is none of the rule's"
        await node.bring(BOB, bob)
        assert await possible(node, ada.id) == ""
        await node.keys.revoke(bob.id, "it was stolen", None, by=ADA)
        assert await possible(node, ada.id)

    on_node(scene)


def test_a_signer_that_a_rule_names_is_missed_before_a_build(on_node: OnNode) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        signers = ("GitHub:owner/repository:build.yml",)
        await node.signatures.set_rule(SigningRule(project="t", signers=signers), by=ADA)
        assert signers[0] in await possible(node, key.id)
        assert await possible(node, key.id, sigstore=True) == ""
        await node.bring(ADA, key)
        assert await possible(node, key.id), "nothing of Sigstore came with it"
        node.store.connection.execute("UPDATE attestation SET sigstore = '{}'")
        assert await possible(node, key.id) == ""

    on_node(scene)


def test_that_no_more_signatures_may_wait_is_told_before_a_build(
    on_node: OnNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.bring(ADA, key)
        monkeypatch.setattr(signatures, "MAX_WAITING", 1)
        assert "has brought 1 attestations" in await possible(node, key.id)
        assert await possible(node, key.id, BOB) == ""

    on_node(scene)

"""A project that asks for a signer: whose word with Sigstore is enough, once, and whose is not."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from vouching_node import ADA, BOB, NOW, SBOM, Node, manifest, play

from casemate.model.errors import ConflictError, InvalidInputError
from casemate.model.facts import SigningRuleChanged
from casemate.model.signing import SigningRule
from casemate.signing import SignatureError
from casemate.sigstore import read_root
from casemate.supply import UnsignedError
from support.sigstore_keys import OwnSigstore, github, own_sigstore, statement

DAY = 86_400.0
BUILD = "GitHub:owner/shop:build.yml"
MAIN = f"{BUILD}@refs/heads/main"


def workflow(
    repository: str = "owner/shop", name: str = "build.yml", ref: str = "refs/heads/main"
) -> dict[int, str]:
    told = github(repository, name)
    return {**told, 14: ref, 18: told[18].rpartition("@")[0] + f"@{ref}"}


def signed(
    digest: str,
    who: dict[int, str] | None = None,
    *,
    at: float = NOW,
    own: OwnSigstore | None = None,
    payload: bytes | None = None,
) -> str:
    """Return what a workflow signed about a bundle, as a Sigstore bundle."""
    moment = datetime.fromtimestamp(at, UTC)
    made = (own or own_sigstore()).made(
        payload or statement("shop/cart", digest),
        who or workflow(),
        moment=moment,
        start=moment - timedelta(minutes=1),
    )
    return made.bundle().decode()


def rule(*signers: str, keys: tuple[str, ...] = (), threshold: int = 1) -> SigningRule:
    root = own_sigstore().trusted_root().decode()
    return SigningRule(
        project="t", keys=keys, threshold=threshold, signers=signers, trusted_root=root
    )


DIGEST = manifest().digest()


def test_a_signer_that_is_asked_for_has_to_have_signed() -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.signatures.set_rule(rule("GitLab:a/b:c.yml", MAIN), by=ADA)
        await node.bring(ADA, key)
        with pytest.raises(UnsignedError, match="Nothing that was signed with Sigstore came"):
            await node.deploy(ADA)
        await node.bring(ADA, key, sigstore=signed(DIGEST))
        version = await node.deploy(ADA)
        await node.signatures.require(version)
        node.open()
        await node.signatures.load()
        await node.signatures.require(version)
        assert node.signatures.rule("t").signers == ("GitLab:a/b:c.yml", MAIN)
        kept = [one for one in await node.signatures.of(DIGEST) if one.sigstore]
        assert len(kept) == 1 and json.loads(kept[0].sigstore)["dsseEnvelope"]
        assert node.facts(SigningRuleChanged)[0].signers == ("GitLab:a/b:c.yml", MAIN)

    play(scene)


@pytest.mark.parametrize(
    ("who", "asked"),
    [
        (workflow("thief/shop"), MAIN),
        (workflow(name="test.yml"), MAIN),
        (workflow(ref="refs/heads/mine"), MAIN),
        (workflow(ref="refs/heads/main2"), MAIN),
        (workflow(ref="refs/pull/1/merge"), MAIN),
        (workflow(name="build.yml@refs/heads/main", ref="refs/heads/mine"), MAIN),
        (workflow("OWNER/shop"), BUILD),
        (workflow(), "GitLab:owner/shop:build.yml"),
        (workflow(), "GitHub:owner/shop"),
    ],
)
def test_the_word_of_somebody_else_is_not_enough(who: dict[int, str], asked: str) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.signatures.set_rule(rule(asked), by=ADA)
        await node.bring(ADA, key, sigstore=signed(DIGEST, who))
        with pytest.raises(UnsignedError, match="It was signed by GitHub:"):
            await node.deploy(ADA)

    play(scene)


def test_without_a_branch_every_branch_counts() -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.signatures.set_rule(rule(BUILD), by=ADA)
        await node.bring(ADA, key, sigstore=signed(DIGEST, workflow(ref="refs/heads/mine")))
        await node.deploy(ADA)

    play(scene)


def _two_subjects() -> bytes:
    told = json.loads(statement("shop/cart", DIGEST))
    told["subject"].append({"name": "x", "digest": {"sha256": "1" * 64}})
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: signed("0" * 64), "not about the bundle"),
        (lambda: signed(DIGEST, payload=_two_subjects()), "not about the bundle"),
        (lambda: signed(DIGEST, own=OwnSigstore()), "no log of the trusted root"),
        (lambda: signed(DIGEST, at=NOW - 31 * DAY), "31.0 days ago"),
        (lambda: signed(DIGEST, at=NOW + 2 * DAY), "2.0 days later than the clock of this node"),
        (lambda: "{}", "does not hold"),
        (lambda: "[" * 100_000, "does not hold"),
        (lambda: '"\ud800"', "does not hold"),
        (lambda: signed(DIGEST).replace('"sig": "', '"sig": "AAAA'), "signature does not hold"),
    ],
)
def test_what_does_not_hold_is_refused_when_it_is_brought(given: Any, words: str) -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.signatures.set_rule(rule(MAIN), by=ADA)
        with pytest.raises(SignatureError, match=words):
            await node.bring(ADA, key, sigstore=given())
        with pytest.raises(UnsignedError):
            await node.deploy(ADA)

    play(scene)


def test_one_signing_is_for_one_deploy_however_it_is_written() -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.signatures.set_rule(rule(MAIN), by=ADA)
        first = signed(DIGEST)
        await node.bring(ADA, key, sigstore=first)
        await node.deploy(ADA)
        told = json.loads(first)
        told["more"] = 1
        told["dsseEnvelope"]["signatures"][0]["keyid"] = "x"
        for again in (first, json.dumps(told, indent=1)):
            await node.bring(ADA, key, sigstore=again)
            with pytest.raises(UnsignedError):
                await node.deploy(ADA)
        # Beside a signature that is new, too.
        await node.bring(ADA, key)
        with pytest.raises(UnsignedError, match="was used for another deploy"):
            await node.deploy(ADA)
        await node.bring(ADA, key, sigstore=signed(DIGEST))
        await node.deploy(ADA)

    play(scene)


def test_one_signing_twice_at_once_makes_one_version() -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.signatures.set_rule(rule(MAIN), by=ADA)
        one = signed(DIGEST)
        for _ in range(2):
            await node.bring(ADA, key, sigstore=one)
        done = await asyncio.gather(*(node.deploy(ADA) for _ in range(2)), return_exceptions=True)
        assert sorted(isinstance(each, ConflictError) for each in done) == [False, True]

    play(scene)


def test_a_signer_is_asked_for_beside_keys_and_does_not_replace_them() -> None:
    async def scene(node: Node) -> None:
        ada, bob = await node.enrol(ADA), await node.enrol(BOB)
        await node.signatures.set_rule(rule(MAIN, keys=(ada.id,)), by=ADA)
        # Bob deploys with what the workflow signed: his own key is not one of the rule's.
        await node.bring(BOB, bob, sigstore=signed(DIGEST))
        with pytest.raises(UnsignedError, match="0 of the keys"):
            await node.deploy(BOB)
        await node.bring(ADA, ada)
        version = await node.deploy(BOB)
        await node.signatures.require(version)
        # The one that came with the signing has no say at starts: a key of it was not asked for.
        counted = {one.keys for one in await node.signatures.of(DIGEST)}
        assert counted == {(), (ada.id,)}
        await node.keys.revoke(ada.id, "lost it on a train", 0.0, by=ADA)
        with pytest.raises(Exception, match="Nobody vouches"):
            await node.signatures.require(version)

    play(scene)


def test_the_newest_rule_decides() -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.signatures.set_rule(rule(MAIN), by=ADA)
        await node.bring(ADA, key, sigstore=signed(DIGEST))
        await node.signatures.set_rule(rule("GitHub:other/shop:build.yml"), by=ADA)
        with pytest.raises(UnsignedError, match="asks for the word of GitHub:other"):
            await node.deploy(ADA)
        # The keys of another instance do not make hold what was brought before.
        root = OwnSigstore().trusted_root().decode()
        await node.signatures.set_rule(
            SigningRule(project="t", signers=(MAIN,), trusted_root=root), by=ADA
        )
        with pytest.raises(UnsignedError, match="no log of the trusted root"):
            await node.deploy(ADA)
        await node.signatures.set_rule(SigningRule(project="t"), by=ADA)
        assert not node.signatures.rule("t").asks
        await node.deploy(ADA)

    play(scene)


def test_what_is_kept_is_verified_again_when_it_is_deployed() -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.signatures.set_rule(rule(MAIN), by=ADA)
        await node.bring(ADA, key, sigstore=signed(DIGEST, workflow("thief/shop")))
        told = json.loads(signed(DIGEST, workflow("thief/shop")))
        told["dsseEnvelope"]["payload"] = base64.b64encode(SBOM).decode()
        for stored in (json.dumps(told), "", signed(DIGEST)):  # the last: of another signing
            node.store.connection.execute("UPDATE attestation SET sigstore = ?", (stored,))
            with pytest.raises(UnsignedError):
                await node.deploy(ADA)

    play(scene)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (SigningRule(project="t", signers=(MAIN, MAIN)), "named more than once"),
        (SigningRule(project="t", trusted_root="{}"), "none is named"),
        (SigningRule(project="t", signers=(MAIN,), trusted_root="{}"), "no file of trusted keys"),
        (
            SigningRule(project="t", signers=(MAIN,), trusted_root="\ud800"),
            "no file of trusted keys",
        ),
    ],
)
def test_rules_of_signers_that_nobody_could_meet(wrong: SigningRule, words: str) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(InvalidInputError, match=words):
            await node.signatures.set_rule(wrong, by=ADA)

    play(scene)


def test_the_public_instance_is_trusted_where_no_other_is() -> None:
    async def scene(node: Node) -> None:
        key = await node.enrol(ADA)
        await node.signatures.set_rule(SigningRule(project="t", signers=(MAIN,)), by=ADA)
        with pytest.raises(SignatureError, match="no log of the trusted root"):
            await node.bring(ADA, key, sigstore=signed(DIGEST))
        read_root(own_sigstore().trusted_root(), "of the test")

    play(scene)

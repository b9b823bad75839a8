"""Operations on who vouches for bundles.

A key is one's own, or any with `account:write`; to see those of others takes `account:read`.
"""

from __future__ import annotations

from http import HTTPStatus

from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.model.deployment import Version
from casemate.model.errors import NotFoundError
from casemate.model.evidence import Evidence
from casemate.model.principal import NODE, Action
from casemate.model.signing import BuilderKey, SigningRule
from casemate.operations import signing
from casemate.operations.signing import (
    AddBuilderKey,
    Attestations,
    Attested,
    BuilderKeys,
    ListBuilderKeys,
    PutAttestation,
    RevokeBuilderKey,
    SetSigningRule,
    ShowAttestations,
    ShowEvidence,
    ShowSigningRule,
)

performs = Performers()


@performs(ListBuilderKeys)
async def _list(_operation: ListBuilderKeys, call: Call) -> BuilderKeys:
    every = call.may(Action.ACCOUNT_READ, NODE)
    keys = call.service.signatures.keys.all()
    return BuilderKeys(
        keys=tuple(key for key in keys if every or key.principal == call.principal.text)
    )


async def _enrol(call: Call, public: str, proof: str, name: str) -> BuilderKey:
    # Who came without a token of ours has no other name that is theirs alone.
    token = call.token_id or call.principal.id
    return await call.service.signatures.keys.enrol(public, proof, name, by=call.actor, token=token)


@performs(AddBuilderKey)
async def _add(operation: AddBuilderKey, call: Call) -> BuilderKey:
    return await _enrol(call, operation.public, operation.proof, operation.name)


@performs(RevokeBuilderKey)
async def _revoke(operation: RevokeBuilderKey, call: Call) -> BuilderKeys:
    keys = call.service.signatures.keys
    own = any(key.principal == call.principal.text for key in keys.of_id(operation.id))
    if not own:
        # Before it is told whether there is such a key.
        call.require(Action.ACCOUNT_WRITE, NODE)
    return BuilderKeys(
        keys=await keys.revoke(operation.id, operation.reason, operation.since, by=call.actor)
    )


@performs(PutAttestation)
async def _put(operation: PutAttestation, call: Call) -> Attested:
    if (operation.public is None) != (operation.proof is None):
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "A key comes with its proof; expected both, or neither."
        )
    if operation.public is not None and operation.proof is not None:
        await _enrol(call, operation.public, operation.proof, operation.name)
    kept = await call.service.signatures.bring(
        operation.digest,
        operation.provenance,
        operation.sbom,
        by=call.actor,
        sigstore=operation.sigstore,
    )
    return Attested(digest=kept.digest, statement=kept.statement, keys=kept.keys)


async def _version(operation: ShowAttestations | ShowEvidence, call: Call) -> Version:
    found = await call.service.control.function(operation.project, operation.function)
    version = next((v for v in found.versions if v.number == operation.number), None)
    if version is None:
        raise NotFoundError(
            f"There is no version {operation.number} of {operation.project}/{operation.function}.",
            next_step="Run casemate show to see the versions there are.",
        )
    return version


@performs(ShowEvidence)
async def _evidence(operation: ShowEvidence, call: Call) -> Evidence:
    version = await _version(operation, call)
    await call.service.evidence.settle()
    return await call.service.evidence.of(version.digest)


@performs(ShowAttestations)
async def _show(operation: ShowAttestations, call: Call) -> Attestations:
    version = await _version(operation, call)
    signatures = call.service.signatures
    attestations = await signatures.of(version.digest)
    named = {key for one in attestations for key in one.keys}
    return Attestations(
        digest=version.digest,
        attestations=attestations,
        keys=tuple(key for key in signatures.keys.all() if key.id in named),
    )


@performs(ShowSigningRule)
async def _rule(operation: ShowSigningRule, call: Call) -> SigningRule:
    return call.service.signatures.rule(operation.project)


@performs(SetSigningRule)
async def _set_rule(operation: SetSigningRule, call: Call) -> SigningRule:
    rule = SigningRule(
        project=operation.project,
        keys=operation.keys,
        threshold=operation.threshold,
        signers=operation.signers,
        trusted_root=operation.trusted_root,
    )
    return await call.service.signatures.set_rule(rule, by=call.actor)


OPERATIONS = all_served(signing, performs)

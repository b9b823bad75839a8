"""Operations on who vouches for bundles: builders' keys, attestations, rules of projects."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.evidence import Evidence
from casemate.model.principal import Action
from casemate.model.signing import (
    KEY_PATTERN,
    MAX_SIGNERS,
    MAX_SIGSTORE_CHARS,
    MAX_TRUSTED_ROOT_CHARS,
    SIGNATURE_PATTERN,
    SIGNER_PATTERN,
    Attestation,
    BuilderKey,
    Envelope,
    SigningRule,
)
from casemate.operations.declaration import Decided, Declaration, Operation, on_function, on_project
from casemate.operations.fields import Digest, Moment, Name, VersionNumber, number, text, whole
from casemate.operations.given import Given

MAX_ATTESTATION_BYTES = 4 * 1024 * 1024
MAX_RULE_KEYS = 16
_KEY = "0f" * 32
_PUBLIC = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_Public = Annotated[
    str,
    msgspec.Meta(
        pattern=whole(r"^[A-Za-z0-9+/]{43}=$"),
        description="Base64 of the raw public key.",
        examples=[_PUBLIC],
    ),
]
_Proof = Annotated[
    str,
    msgspec.Meta(
        pattern=whole(SIGNATURE_PATTERN),
        description="Base64 of the Ed25519 signature, by this key, of `casemate builder key 1`, a "
        "line feed and the id of the token that the request carries.",
        examples=["A" * 86 + "=="],
    ),
]
_KeyId = Annotated[
    str,
    msgspec.Meta(pattern=whole(KEY_PATTERN), description="SHA-256 of the raw public key, in hex."),
    Given("The id, see `keys ls`."),
]
_KeyName = Annotated[str, text("What you will know the key by.", most=80)]
_ENVELOPE = {
    "payloadType": "application/vnd.in-toto+json",
    "payload": "e30=",
    "signatures": [{"keyid": _KEY, "sig": "A" * 86 + "=="}],
}


class BuilderKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Builders' keys, oldest first."""

    keys: tuple[BuilderKey, ...]


class Attested(msgspec.Struct, frozen=True, kw_only=True):
    """What was uploaded is valid, and can be used for one deploy."""

    digest: str
    statement: str
    """SHA-256 of the provenance's payload."""
    keys: tuple[str, ...]


class Attestations(msgspec.Struct, frozen=True, kw_only=True):
    """Who vouches for a version: envelopes, and the keys that signed them."""

    digest: str
    attestations: tuple[Attestation, ...]
    keys: tuple[BuilderKey, ...]


class ListBuilderKeys(Operation[BuilderKeys], frozen=True, kw_only=True):
    """List the keys that sign bundles: your own, or all with `account:read`."""

    declared = Declaration(http="GET /builder-keys", tag="signing", decided=Decided.FOR_EACH)


class AddBuilderKey(Operation[BuilderKey], frozen=True, kw_only=True):
    """Enrol a key of your own, with a proof that you have its private half.

    `casemate deploy` does so by itself. A revoked key is refused for good.
    """

    declared = Declaration(
        http="POST /builder-keys",
        tag="signing",
        decided=Decided.FOR_EACH,
        anywhere=Action.FUNCTION_DEPLOY,
        status=HTTPStatus.CREATED,
        problems=(409, 413, 415, 422),
    )
    public: _Public
    proof: _Proof
    name: _KeyName = ""


class RevokeBuilderKey(Operation[BuilderKeys], frozen=True, kw_only=True):
    """Revoke a key for good: your own, or any with `account:write`.

    Bundles that it signed can no longer be deployed. With `since`, versions that were deployed with
    it at that time or later cannot start either; without, they go on.
    """

    declared = Declaration(
        http="POST /builder-keys/{id}/revoke",
        tag="signing",
        decided=Decided.FOR_EACH,
        problems=(404, 413, 415, 422),
    )
    id: _KeyId
    reason: Annotated[
        str,
        text("Why, in 10 to 500 characters.", least=10, most=500),
        Given("Why it is revoked.", "--reason"),
    ]
    since: (
        Annotated[
            Moment,
            Given(
                "What was deployed with it from this time on is no longer started.",
                "--since",
                metavar="TIME",
            ),
        ]
        | None
    ) = None


class PutAttestation(Operation[Attested], frozen=True, kw_only=True):
    """Upload the signed provenance and SBOM of a bundle.

    Both are DSSE envelopes of in-toto statements, signed with Ed25519 by enrolled keys. With
    `public` and `proof`, a key of your own is enrolled first, see `addBuilderKey`. Each provenance
    can be used for one deploy, within 30 days. The same is true of `sigstore`: a Sigstore bundle
    with an in-toto statement about this bundle's digest alone, which must be valid.
    """

    declared = Declaration(
        http="PUT /bundles/{digest}/attestation",
        tag="signing",
        decided=Decided.FOR_EACH,
        anywhere=Action.FUNCTION_DEPLOY,
        problems=(409, 413, 415, 422, 429),
        max_body=MAX_ATTESTATION_BYTES,
        example={"provenance": _ENVELOPE, "sbom": _ENVELOPE},
    )
    digest: Digest
    provenance: Envelope
    sbom: Envelope
    public: _Public | None = None
    proof: _Proof | None = None
    name: _KeyName = ""
    sigstore: Annotated[
        str,
        text("A Sigstore bundle, as it is in its file.", most=MAX_SIGSTORE_CHARS),
    ] = ""


class ShowAttestations(Operation[Attestations], frozen=True, kw_only=True):
    """Show who vouches for a version of a function: the envelopes and the keys."""

    declared = Declaration(
        http="GET /functions/{project}/{function}/versions/{number}/attestations",
        tag="signing",
        action=Action.FUNCTION_READ,
        on=on_function,
        problems=(404,),
    )
    project: Name
    function: Name
    number: VersionNumber


class ShowEvidence(Operation[Evidence], frozen=True, kw_only=True):
    """Show which packages of a version were loaded, at the import of its handler and by calls.

    The function's own process reports this.
    """

    declared = Declaration(
        http="GET /functions/{project}/{function}/versions/{number}/evidence",
        tag="signing",
        action=Action.FUNCTION_READ,
        on=on_function,
        problems=(404,),
    )
    project: Name
    function: Name
    number: VersionNumber


class ShowSigningRule(Operation[SigningRule], frozen=True, kw_only=True):
    """Show whose signatures a project requires."""

    declared = Declaration(
        http="GET /projects/{project}/signing",
        tag="signing",
        action=Action.FUNCTION_READ,
        on=on_project,
    )
    project: Name


class SetSigningRule(Operation[SigningRule], frozen=True, kw_only=True):
    """Require that bundles of a project are signed by a number of these keys, whoever deploys.

    Without keys, whoever deploys must have signed. With `signers`, one of them must also have
    signed with Sigstore. With neither, there is no rule.
    """

    declared = Declaration(
        http="PUT /projects/{project}/signing",
        tag="signing",
        action=Action.SIGNING_WRITE,
        on=on_project,
        problems=(404, 413, 415, 422),
        example={"keys": [_KEY], "threshold": 1},
        answer=SigningRule(project="shop", keys=(_KEY,), threshold=1),
    )
    project: Name
    keys: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=whole(KEY_PATTERN))], ...],
        msgspec.Meta(max_length=MAX_RULE_KEYS, description="Ids of keys."),
        Given("A key that counts. Can be given several times.", "--key", metavar="ID"),
    ] = ()
    threshold: Annotated[
        int,
        number("Of how many of them.", least=1, most=MAX_RULE_KEYS),
        Given("How many of them must have signed.", "--threshold"),
    ] = 1
    signers: Annotated[
        tuple[
            Annotated[
                str,
                msgspec.Meta(
                    pattern=whole(SIGNER_PATTERN),
                    examples=["GitHub:owner/repository:build.yml@refs/heads/main"],
                ),
            ],
            ...,
        ],
        msgspec.Meta(max_length=MAX_SIGNERS, description="Who signs with Sigstore."),
        Given(
            "One of these must have signed with Sigstore: "
            "GitHub:owner/repository:build.yml@refs/heads/main. Can be given several times.",
            "--signer",
            metavar="WHO",
        ),
    ] = ()
    trusted_root: Annotated[
        str,
        text(
            "Keys of the Sigstore instance, as they are in its `trusted_root.json`; empty: those "
            "of the public one.",
            most=MAX_TRUSTED_ROOT_CHARS,
        ),
        Given(
            "Keys to use instead of those of the public Sigstore.", "--trusted-root", metavar="FILE"
        ),
    ] = ""

"""Who vouches for bundles: signed envelopes, builders' keys, and what a project asks for."""

from __future__ import annotations

from typing import Annotated

import msgspec

KEY_PATTERN = r"^[0-9a-f]{64}$"
SIGNATURE_PATTERN = r"^[A-Za-z0-9+/]{86}==$"
MAX_SIGNATURES = 16
MAX_PAYLOAD_CHARS = 3 * 1024 * 1024
"""Of the base64 of a payload. An SBOM has about 1 KiB for each package."""
SIGNER_PATTERN = r"^(GitHub|GitLab|CircleCI|Google):[!-+\--~]{1,180}$"
"""Who signs with Sigstore, as certificates name them: `GitHub:owner/repository:build.yml`, or only
for one branch `GitHub:owner/repository:build.yml@refs/heads/main`."""
MAX_SIGNERS = 8
MAX_SIGSTORE_CHARS = 128 * 1024
"""Of a Sigstore bundle about a bundle. One has about 12 KiB."""
MAX_TRUSTED_ROOT_CHARS = 64 * 1024
"""Of the keys of a Sigstore instance. Those of the public one have 7 KiB."""
NODE_KEY = "node"
"""Whose the keys are with which a node vouches for what came before it asked for signatures."""


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One signature of an envelope."""

    keyid: Annotated[
        str,
        msgspec.Meta(pattern=KEY_PATTERN.removesuffix("$") + r"(?!\n)$", examples=["0f" * 32]),
    ]
    """SHA-256 of the raw public key, in hex."""
    sig: Annotated[
        str,
        msgspec.Meta(
            pattern=SIGNATURE_PATTERN.removesuffix("$") + r"(?!\n)$", examples=["A" * 86 + "=="]
        ),
    ]
    """Base64 of the 64 bytes of an Ed25519 signature."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A DSSE envelope. The names are those of the specification."""

    payloadType: Annotated[str, msgspec.Meta(max_length=128)]  # noqa: N815
    payload: Annotated[str, msgspec.Meta(max_length=MAX_PAYLOAD_CHARS)]
    """Base64."""
    signatures: Annotated[
        tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=MAX_SIGNATURES)
    ]


def signing_payload(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding of type and payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class BuilderKey(msgspec.Struct, frozen=True, kw_only=True):
    """A builder's key, as one principal has enrolled it."""

    id: str
    """SHA-256 of the raw public key, in hex."""
    principal: str
    """Whose it is, such as `user:ada` or `token:ID`; `node` for one of the node's own."""
    public: str
    """Base64 of the raw public key."""
    name: str
    added_at: float
    revoked_at: float | None = None
    revoked_by: str = ""
    reason: str = ""
    since: float | None = None
    """What it signed and was deployed from this moment on (Unix time) does not count."""


class SigningRule(msgspec.Struct, frozen=True, kw_only=True):
    """Whose signatures a project asks for."""

    project: str
    keys: tuple[str, ...] = ()
    """Ids, in place of a key of whoever deploys. Empty: who deploys has to have signed."""
    threshold: int = 0
    """Of how many of them."""
    signers: tuple[str, ...] = ()
    """One of these has to have signed with Sigstore, too. Empty: nobody has to."""
    trusted_root: str = ""
    """Keys of the Sigstore instance (`trusted_root.json`). Empty: those of the public one."""

    @property
    def asks(self) -> bool:
        """Tell whether it is more than that who deploys has signed."""
        return bool(self.keys or self.signers)


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """What vouches for a bundle: its provenance, and its SBOM, signed by the same keys."""

    digest: str
    statement: str
    """SHA-256 of the provenance's payload, in hex. Each one can be deployed with once."""
    keys: tuple[str, ...]
    """Ids of the keys that signed both."""
    principal: str
    """Who brought it."""
    at: float
    """Unix time at which it came."""
    provenance: Envelope
    sbom: Envelope | None = None
    """None where the node itself vouches for what came before it asked for signatures."""
    used_at: float | None = None
    """Unix time at which a version was deployed with it."""
    needed: int = 1
    """How many keys had to vouch for that version."""
    sigstore: str = ""
    """The Sigstore bundle that came with it, as it is in its file."""
    signing: str = ""
    """Which signing that was. Each one can be deployed with once."""


class Voucher(msgspec.Struct, frozen=True, kw_only=True):
    """One statement with which a version is deployed, and those of its keys that count for it.

    None of its keys counts where it is there for the Sigstore bundle that came with it.
    """

    statement: str
    keys: tuple[str, ...]

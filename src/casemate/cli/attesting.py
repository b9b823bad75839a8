"""Vouching for what was built: its provenance and SBOM, signed with this machine's key."""

from __future__ import annotations

import base64
import platform
import re
import time
import uuid
from typing import TYPE_CHECKING

from casemate import __version__
from casemate.cli.builder_key import own_key
from casemate.cli.client import NodeClient
from casemate.cli.errors import CommandError
from casemate.operations.signing import Attested, PutAttestation

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle
    from casemate.model.signing import Envelope
    from casemate.signing import SigningKey

_TOKEN_ID = re.compile(r"cm_([^_]+)_")
ATTEST_SECONDS = 60.0


def attest(client: NodeClient, built: BuiltBundle, sigstore: str = "") -> Attested:
    """Sign a bundle and bring that to the node, which learns of the key if it is a new one.

    `sigstore` is what somebody else signed about it, as a Sigstore bundle.
    """
    from casemate.signing import proof_of

    key = own_key()
    provenance, sbom = envelopes(built, key)
    done = client.call(
        PutAttestation(
            digest=built.digest,
            provenance=provenance,
            sbom=sbom,
            public=base64.b64encode(key.public).decode(),
            proof=proof_of(key, token_id(client)),
            name=key_name(),
            sigstore=sigstore,
        ),
        seconds=ATTEST_SECONDS,
    )
    if done.digest != built.digest or key.id not in done.keys:
        said = ", ".join(each[:12] for each in done.keys[:3]) or "nobody"
        raise CommandError(
            f"{client.url} was told that {key.id[:12]} has signed {built.digest}, and answers that "
            f"{said} has signed {done.digest[:64]}.",
            next_step="Compare `casemate --version` with the node's, "
            f"{client.url}/api/v1/health, and check that it is a Casemate node.",
        )
    return done


def envelopes(built: BuiltBundle, key: SigningKey) -> tuple[Envelope, Envelope]:
    """Return the signed provenance and SBOM of a bundle."""
    from casemate.sbom import sbom as sbom_of
    from casemate.signing import provenance_of, sbom_statement, sealed

    made = sbom_statement(built.manifest, sbom_of(built.path, built.manifest))
    said = provenance_of(
        built.manifest,
        made,
        builder=key.id,
        at=time.time(),
        run=uuid.uuid4().hex,
        version=__version__,
    )
    return sealed(said, (key,)), sealed(made, (key,))


def token_id(client: NodeClient) -> str:
    """Return the id of the token that requests carry, which is no secret."""
    match = _TOKEN_ID.match(client.credentials.key or "")
    return match.group(1) if match else ""


def key_name() -> str:
    """Return what a key is known by: the machine's name."""
    return platform.node()[:80]

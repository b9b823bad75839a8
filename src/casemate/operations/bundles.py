"""Operations on bundles: ask for one, upload one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.bundle import MAX_PIECES
from casemate.model.principal import Action
from casemate.operations.declaration import (
    GZIP,
    Decided,
    Declaration,
    Effect,
    Operation,
    on_function,
)
from casemate.operations.fields import Digest, Name


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that the node holds now."""

    digest: str
    size: int
    """Bytes of the archive as received."""


# A bundle belongs to no function until it is deployed: who may deploy any is let in, and the
# answer is about what that caller has uploaded or may deploy.


class HasBundle(Operation[None], frozen=True, kw_only=True):
    """Tell whether the node holds a bundle that you have uploaded or may deploy."""

    declared = Declaration(
        http="HEAD /bundles/{digest}",
        tag="bundles",
        decided=Decided.FOR_EACH,
        anywhere=Action.FUNCTION_DEPLOY,
        problems=(404,),
    )
    digest: Digest


class FoundPieces(msgspec.Struct, frozen=True, kw_only=True):
    """Those that a bundle can be uploaded without."""

    digests: tuple[str, ...]


class FindPieces(Operation[FoundPieces], frozen=True, kw_only=True):
    """Tell without which pieces of its dependencies a bundle can be uploaded.

    Those are what other bundles of the project have, which you have uploaded or may deploy. A piece
    is what stands below `deps/`, a folder or a file; its digest is the SHA-256 of the JSON of
    project, Python, its name, and its files with their sizes and hashes.
    """

    declared = Declaration(
        http="POST /functions/{project}/{function}/pieces",
        tag="bundles",
        effect=Effect.READ,
        action=Action.FUNCTION_DEPLOY,
        on=on_function,
        problems=(413, 415, 422),
    )
    project: Name
    function: Name
    digests: Annotated[
        tuple[Digest, ...], msgspec.Meta(max_length=MAX_PIECES, description="Their digests.")
    ]


class PutBundle(Operation[Uploaded], frozen=True, kw_only=True):
    """Upload a bundle.

    The body is the bundle's tar.gz archive of at most 512 MiB. Every path and hash in it is
    checked. 422 means that it is not the bundle that the digest names. A bundle that is not
    deployed within an hour is deleted. 429 means that too many uploads are waiting for a deploy.

    With `partial` the archive may leave out pieces of its dependencies; see `findPieces`. 409 and
    422 mean that the node does not have them any more.
    """

    declared = Declaration(
        http="PUT /bundles/{digest}",
        tag="bundles",
        decided=Decided.FOR_EACH,
        anywhere=Action.FUNCTION_DEPLOY,
        raw_content=True,
        content_type=GZIP,
        status=HTTPStatus.CREATED,
        other_statuses=((HTTPStatus.OK, "The node held the bundle already.", Uploaded),),
        problems=(409, 413, 415, 422, 429),
    )
    digest: Digest
    partial: Annotated[
        bool, msgspec.Meta(description="What is left out is what other bundles have.")
    ] = False

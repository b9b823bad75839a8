"""Operations on bundles: ask for one, upload one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.principal import Action
from casemate.operations.declaration import GZIP, Decided, Declaration, Operation, on_function
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


class HasDependencies(Operation[None], frozen=True, kw_only=True):
    """Tell whether a bundle can be uploaded without its dependencies.

    That is if another bundle of the project that one has uploaded or may deploy has the same ones.
    """

    declared = Declaration(
        http="HEAD /functions/{project}/{function}/dependencies/{digest}",
        tag="bundles",
        action=Action.FUNCTION_DEPLOY,
        on=on_function,
        problems=(404,),
    )
    project: Name
    function: Name
    digest: Digest
    """Of the dependencies: SHA-256 of the JSON of project, Python, the lock's hash and files."""


class PutBundle(Operation[Uploaded], frozen=True, kw_only=True):
    """Upload a bundle.

    The body is the bundle's tar.gz archive of at most 512 MiB. Every path and hash in it is
    checked. 422 means that it is not the bundle that the digest names. A bundle that is not
    deployed within an hour is deleted. 429 means that too many uploads are waiting for a deploy.

    With `code_only` the archive has no file below `deps/`. 409 means that the node does not have
    those files; see `hasDependencies`.
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
    code_only: Annotated[
        bool, msgspec.Meta(description="The dependencies are those of another bundle.")
    ] = False

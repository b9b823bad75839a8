"""Operations on whose routes are whose: which paths and host names projects were given."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.principal import Action
from casemate.model.route import HOST_PATTERN, MAX_CLAIMS, PREFIX_PATTERN, RouteClaim
from casemate.operations.declaration import Declaration, Operation
from casemate.operations.fields import Name, whole
from casemate.operations.given import Given


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Paths and host names of projects."""

    claims: tuple[RouteClaim, ...]


Prefix = Annotated[str, msgspec.Meta(pattern=whole(PREFIX_PATTERN))]
Host = Annotated[str, msgspec.Meta(pattern=whole(HOST_PATTERN))]


class ListRouteClaims(Operation[Claims], frozen=True, kw_only=True):
    """List which paths and host names belong to which projects."""

    declared = Declaration(http="GET /route-claims", tag="routes", action=Action.NODE_READ)


class ClaimRoutes(Operation[RouteClaim], frozen=True, kw_only=True):
    """Give paths or host names to a project, replacing what it had.

    Other projects can then have no route there. An empty list takes everything back. The answer is
    409 if another project has been given a part of it, or has a route there.
    """

    declared = Declaration(
        http="PUT /route-claims/{name}",
        tag="routes",
        action=Action.ROUTE_WRITE,
        problems=(409, 413, 415),
        example={"name": "shop", "hosts": ["shop.example.com"]},
        answer=RouteClaim(project="shop", hosts=("shop.example.com",)),
    )
    name: Annotated[Name, msgspec.Meta(description="Name of a project."), Given(metavar="PROJECT")]
    prefixes: Annotated[
        tuple[Prefix, ...],
        msgspec.Meta(
            max_length=MAX_CLAIMS,
            description="First segments such as `/payments`; `/` alone is every path of the "
            "shared host.",
        ),
        Given("One first segment, such as /payments; / is every path.", "--prefix", metavar="PATH"),
    ] = ()
    hosts: Annotated[
        tuple[Host, ...],
        msgspec.Meta(
            max_length=MAX_CLAIMS,
            description="Host names in lower case; with one the project's routes answer there "
            "and only there.",
        ),
        Given("Host name, such as shop.example.com.", "--host", metavar="NAME"),
    ] = ()

"""Routes of one project cannot cover those of another, nor the node's; claims decide before all."""

from __future__ import annotations

from time import process_time

import msgspec
import pytest

from casemate.admission import Catalogue
from casemate.admission import catalogue as module
from casemate.admission.routes import Match
from casemate.model.deployment import Version
from casemate.model.errors import ConflictError
from casemate.model.route import RESERVED_SEGMENTS, RouteClaim, host_of
from support.core import deployed, version


def wants(*routes: str, project: str = "u", name: str = "g") -> Version:
    return version(project=project, name=name, routes=list(routes))


def catalogue(*versions: Version, claims: tuple[RouteClaim, ...] = ()) -> Catalogue:
    found = Catalogue()
    found.replace([deployed(one) for one in versions], claims)
    return found


SHOP = version(project="shopa", name="pay", routes=["POST /payments/{id}"])


@pytest.mark.parametrize(
    "route",
    [
        *("POST /payments/{id}", "GET /payments/{id}", "* /payments", "POST /payments/special"),
        *("POST /payments/{rest...}", "POST /{any}/{id}", "GET /{rest...}", "GET /{code}"),
        "GET /payments/a/b/c",
    ],
)
def test_what_another_project_has_cannot_be_covered(route: str) -> None:
    with pytest.raises(ConflictError) as refused:
        catalogue(SHOP).check_routes("u", "g", wants(route))
    assert "shopa/pay" in refused.value.message and "u/g" in refused.value.message
    assert "/payments/{id}" in refused.value.message


@pytest.mark.parametrize("route", ["GET /Payments", "GET /payment", "GET /", "GET /u/{rest...}"])
def test_all_else_can_be_had(route: str) -> None:
    catalogue(SHOP).check_routes("u", "g", wants(route))


@pytest.mark.parametrize("first", [".well-known", ".Well-Known", "invoke", "API", "hooks"])
def test_what_the_node_answers_is_nobodys(first: str) -> None:
    given = wants(f"GET /{first}/acme-challenge/{{token}}")
    with pytest.raises(ConflictError, match="node answers itself"):
        Catalogue().check_routes("u", "g", given)
    assert catalogue(given).route("GET", f"/{first}/acme-challenge/x") is None


@pytest.mark.parametrize("host", ["", "u.example.com"])
@pytest.mark.parametrize("route", ["GET /{any}", "GET /{any}/{token}", "GET /{rest...}"])
def test_what_the_node_answers_is_nobodys_where_a_route_takes_any_segment(
    route: str, host: str
) -> None:
    """One that takes all was handed `/.well-known/acme-challenge/`, so that it could have a
    certificate for the node's name."""
    claim = RouteClaim(project="u", hosts=("u.example.com",))
    found = catalogue(wants(route), claims=(claim,) if host else ())
    for first in RESERVED_SEGMENTS:
        for path in (first, first.upper(), f"%{ord(first[0]):02x}{first[1:]}"):
            for below in ("", "/acme-challenge", "/acme-challenge/x"):
                assert found.route("GET", f"/{path}{below}", host) is None, path
    for free in ("/a", "/healthy"):
        path = f"{free}/b" if "token" in route else free
        assert isinstance(found.route("GET", path, host), Match)


def test_within_a_project_first_segments_are_shared() -> None:
    found = catalogue(SHOP)
    found.check_routes("shopa", "other", wants("GET /payments/{id}/receipt", project="shopa"))
    with pytest.raises(ConflictError, match="belongs to shopa/pay"):
        found.check_routes("shopa", "g", wants("POST /payments/{number}", project="shopa"))


def test_what_is_stored_and_overlaps_is_answered_by_who_was_first() -> None:
    late = msgspec.structs.replace(wants("POST /payments/special"), created_at=2.0)
    for order in ((SHOP, late), (late, SHOP)):
        found = catalogue(*order).route("POST", "/payments/special")
        assert isinstance(found, Match)
        assert found.route.project == "shopa"


def test_what_was_given_to_a_project_waits_for_it() -> None:
    claims = (RouteClaim(project="shopa", prefixes=("/payments",)),)
    found = catalogue(claims=claims)
    with pytest.raises(ConflictError, match="given to the project shopa"):
        found.check_routes("u", "g", wants("GET /payments/x"))
    with pytest.raises(ConflictError, match="given to the project shopa"):
        found.check_routes("u", "g", wants("GET /{code}"))
    found.check_routes("shopa", "pay", SHOP)
    found.check_routes("u", "g", wants("GET /other"))


def test_a_project_with_a_host_answers_there_and_only_there() -> None:
    claims = (RouteClaim(project="shopa", hosts=("shop.example.com",)),)
    found = catalogue(SHOP, wants("POST /payments/{id}"), claims=claims)

    def project(host: str) -> str:
        match = found.route("POST", "/payments/1", host)
        assert isinstance(match, Match)
        return match.route.project

    assert project("shop.example.com") == "shopa"
    assert project("") == project("example.com") == "u"
    assert found.owns_origin("shopa", "shop.example.com")
    assert not found.owns_origin("u", "shop.example.com")
    assert not found.owns_origin("u", "")


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        (RouteClaim(project="u", prefixes=("/payments",)), "shopa/pay has it as well"),
        (RouteClaim(project="u", prefixes=("/",)), "given to w"),
        (RouteClaim(project="u", prefixes=("/taken",)), "given to w"),
        (RouteClaim(project="u", hosts=("w.example.com",)), "given to w"),
    ],
)
def test_a_claim_takes_nothing_from_another_project(claim: RouteClaim, told: str) -> None:
    others = (RouteClaim(project="w", prefixes=("/taken",), hosts=("w.example.com",)),)
    found = catalogue(SHOP, claims=others)
    with pytest.raises(ConflictError, match=told) as refused:
        found.check_claim(claim)
    assert refused.value.next_step is not None
    found.check_claim(RouteClaim(project="u", prefixes=("/free",)))


def test_a_project_that_loses_its_host_covers_nobody() -> None:
    claims = (RouteClaim(project="u", hosts=("u.example",)),)
    first = msgspec.structs.replace(wants("GET /payments/{id}", "GET /own"), created_at=1.0)
    found = catalogue(first, msgspec.structs.replace(SHOP, created_at=2.0), claims=claims)
    with pytest.raises(ConflictError, match=r"u/g overlaps with .* of shopa/pay"):
        found.check_claim(RouteClaim(project="u"))
    with pytest.raises(ConflictError, match="overlaps"):
        found.check_claim(RouteClaim(project="u", prefixes=("/own",)))
    found.check_claim(RouteClaim(project="u", hosts=("other.example",)))
    catalogue(first, claims=claims).check_claim(RouteClaim(project="u"))


@pytest.mark.parametrize(
    ("header", "host"),
    [
        (None, ""),
        (b"Shop.Example.com", "shop.example.com"),
        (b"shop.example.com:8443", "shop.example.com"),
        (b"shop.example.com.", "shop.example.com"),
        (b"[::1]:80", "[::1]"),
        (b"x" * 600, ""),
    ],
)
def test_a_host_is_known_by_any_way_to_write_it(header: bytes | None, host: str) -> None:
    assert host_of(header) == host


def test_many_first_segments_are_looked_at_once_each() -> None:
    many = version(project="u", name="g", routes=[f"GET /a{n}/{{id}}" for n in range(8_000)])
    began = process_time()
    found = catalogue(many, SHOP)
    assert process_time() - began < 0.6  # with each looked at for each: 1.2 s, on the event loop
    with pytest.raises(ConflictError, match="of u/g"):
        found.check_routes("shopb", "pay", wants("GET /a7999", project="shopb"))
    with pytest.raises(ConflictError, match="of shopa/pay"):
        found.check_routes("u", "h", wants("GET /{any}", name="h"))


def test_a_public_route_of_any_segment_is_like_all_that_nothing_else_begins_like() -> None:
    """`/abc/` beside a public `/{code}` was 401, as if it had needed a token."""
    open_to_all = version(project="u", name="g", routes=["GET /{code}"], public=True)
    private = version(project="u", name="h", routes=["GET /admin/{id}"])
    found = catalogue(open_to_all, private)
    for path in ("/abc/", "/a/b/", "/"):
        assert found.has_public_route_like(path), path
    assert not found.has_public_route_like("/admin/nothing"), "what is there is not told"
    assert not catalogue(private).has_public_route_like("/abc/")


def test_what_a_path_is_like_is_asked_of_each_function_once(monkeypatch) -> None:
    found = catalogue(version(project="u", name="g", routes=[f"GET /u/{n}" for n in range(90)]))
    asked = []
    monkeypatch.setattr(module, "is_public", lambda current: asked.append(current))
    assert not found.has_public_route_like("/u/none") and len(asked) == 1
    assert not found.has_public_route_like("/other/none") and len(asked) == 1

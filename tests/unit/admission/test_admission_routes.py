"""Routes: precedence, decoding, and paths that must lead nowhere."""

from __future__ import annotations

from itertools import product
from time import process_time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.admission import Route
from casemate.admission.routes import MAX_LOOKED_AT, Match, Routes


def routes_of(*texts: str) -> Routes:
    """Each text is `METHOD /template`; the function's name is the text itself."""
    routes = Routes()
    for text in texts:
        method, template = text.split(" ", 1)
        assert routes.add(Route(method, template, "t", text)) is None
    return routes


def match(routes: Routes, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    found = routes.match(method, path)
    return (found.route.function, found.parameters) if isinstance(found, Match) else None


ALL = (
    "GET /",
    "GET /users",
    "GET /users/me",
    "GET /users/{id}",
    "POST /users/{id}",
    "GET /users/{id}/posts",
    "GET /users/{rest...}",
    "* /any/{id}",
    "GET /any/{id}",
    "GET /{top}",
    "GET /files/{rest...}",
)


@pytest.mark.parametrize(
    ("path", "route", "parameters"),
    [
        ("/", "GET /", {}),
        ("/users", "GET /users", {}),
        ("/users/me", "GET /users/me", {}),
        ("/users/you", "GET /users/{id}", {"id": "you"}),
        ("/users/you/posts", "GET /users/{id}/posts", {"id": "you"}),
        ("/users/me/posts", "GET /users/{id}/posts", {"id": "me"}),
        ("/users/me/files", "GET /users/{rest...}", {"rest": "me/files"}),
        ("/users/a/b/c", "GET /users/{rest...}", {"rest": "a/b/c"}),
        ("/other", "GET /{top}", {"top": "other"}),
        ("/files/a", "GET /files/{rest...}", {"rest": "a"}),
        ("/files", "GET /{top}", {"top": "files"}),
        ("/any/1", "GET /any/{id}", {"id": "1"}),
    ],
)
def test_literal_before_parameter_before_rest(
    path: str, route: str, parameters: dict[str, str]
) -> None:
    assert match(routes_of(*ALL), "GET", path) == (route, parameters)


def test_a_method_wins_over_any_method() -> None:
    routes = routes_of(*ALL)
    assert match(routes, "GET", "/any/1") == ("GET /any/{id}", {"id": "1"})
    assert match(routes, "PUT", "/any/1") == ("* /any/{id}", {"id": "1"})


def test_the_order_of_declaration_does_not_matter() -> None:
    forth, back = routes_of(*ALL), routes_of(*reversed(ALL))
    for path in ("/", "/users/me", "/users/x", "/users/x/y/z", "/any/1", "/q", "/users/me/posts"):
        for method in ("GET", "POST"):
            assert match(forth, method, path) == match(back, method, path)


def test_only_the_method_does_not_fit() -> None:
    routes = routes_of("GET /a", "POST /a", "GET /a/{id}", "DELETE /{x}/{y}")
    assert routes.match("PUT", "/a") == {"GET", "POST"}
    assert routes.match("PUT", "/a/1") == {"GET", "DELETE"}
    assert routes.match("PUT", "/b") is None
    assert routes.match("get", "/a") == {"GET", "POST"}


def test_a_less_exact_route_with_the_method_is_taken() -> None:
    routes = routes_of("GET /a/b", "POST /a/{x}")
    assert match(routes, "POST", "/a/b") == ("POST /a/{x}", {"x": "b"})


def test_a_shape_that_is_taken_is_told() -> None:
    routes = routes_of("GET /a/{id}")
    taken = routes.add(Route("GET", "/a/{name}", "p", "q"))
    assert taken is not None and taken.function == "GET /a/{id}"
    assert match(routes, "GET", "/a/1") == ("GET /a/{id}", {"id": "1"})


CATCH_ALL = routes_of("GET /{rest...}", "GET /", "GET /{a}/{b}", "GET /admin/{name}")

HOSTILE = [
    "",
    "*",
    "admin",
    "admin/x",
    "//",
    "///",
    "//admin",
    "/admin/",
    "/admin//x",
    "/a//b",
    "/.",
    "/..",
    "/./admin/x",
    "/../admin/x",
    "/a/../admin",
    "/%2e",
    "/%2e%2e",
    "/%2E%2E/admin",
    "/.%2e/admin",
    "/%2e./admin",
    "/a/%2e%2e/admin/x",
    "/a%2fb",
    "/a%2Fb",
    "/admin%2fx",
    "/%2fadmin/x",
    "/a%5cb",
    "/a\\b",
    "/..\\admin",
    "/a%00",
    "/a\x00",
    "/%00",
    "/a%0a",
    "/a%0d%0aset-cookie:x",
    "/a%1f",
    "/a%7f",
    "/a\n",
    "/%c0%af",
    "/%c0%ae%c0%ae/admin",
    "/%e0%80%af",
    "/%ff",
    "/%ed%a0%80",
    "/a%e9",
    "/%",
    "/%4",
    "/%zz",
    "/a%2",
    "/%u002e%u002e",
    "/" + "a/" * 64 + "a",
    "/" * 5000,
]


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths_match_not_even_what_takes_everything(path: str) -> None:
    assert CATCH_ALL.match("GET", path) is None


def test_the_deepest_path() -> None:
    assert match(CATCH_ALL, "GET", "/" + "/".join("a" * 64)) == (
        "GET /{rest...}",
        {"rest": "/".join("a" * 64)},
    )


def test_percent_encoding_is_undone_once() -> None:
    routes = routes_of("GET /users/{id}", "GET /users/me")
    assert match(routes, "GET", "/users/%6d%65") == ("GET /users/me", {})
    assert match(routes, "GET", "/%75sers/%C3%A9") == ("GET /users/{id}", {"id": "é"})
    assert match(routes, "GET", "/users/%252e%252e") == ("GET /users/{id}", {"id": "%2e%2e"})
    assert match(routes, "GET", "/users/a+b%20c") == ("GET /users/{id}", {"id": "a+b c"})
    assert match(routes, "GET", "/users/...") == ("GET /users/{id}", {"id": "..."})


@given(st.text(), st.text())
def test_match_never_raises(method: str, path: str) -> None:
    for text in (path, "/" + path, f"/admin/{path}"):
        found = CATCH_ALL.match(method, text)
        assert found is None or isinstance(found, (Match, frozenset))


@given(st.text(alphabet="/%2eEfF.\\aA0cC5\x00{}"))
def test_what_matches_holds_no_dot_segment_slash_or_control(path: str) -> None:
    found = CATCH_ALL.match("GET", "/" + path)
    if isinstance(found, Match):
        for value in found.parameters.values():
            for segment in value.split("/"):
                assert segment not in ("", ".", "..")
                assert "\\" not in segment
                assert segment.isprintable()


LITERAL = st.text("abcXYZ019._~!$&'()*+,;=:@-", min_size=1, max_size=6).filter(
    lambda s: s not in (".", "..")
)
SEGMENT = st.one_of(LITERAL, st.just("{}"))
VALUE = st.text(min_size=1, max_size=8).filter(
    lambda s: (
        s not in (".", "..")
        and not any(
            c in "/\\" or ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in s
        )
    )
)


@given(st.lists(SEGMENT, max_size=6), st.one_of(st.none(), st.lists(VALUE, min_size=1)), st.data())
def test_a_path_made_from_a_template_matches_it(
    segments: list[str], rest: list[str] | None, data: st.DataObject
) -> None:
    template, path, expected = [], [], {}
    for index, segment in enumerate(segments):
        if segment == "{}":
            value = data.draw(VALUE)
            template.append(f"{{p{index}}}")
            path.append(quote(value, safe=""))
            expected[f"p{index}"] = value
        else:
            template.append(segment)
            path.append(data.draw(st.sampled_from([segment, quote(segment, safe="")])))
    if rest is not None:
        rest = rest[: 64 - len(path)]
        template.append("{rest...}")
        path += [quote(value, safe="") for value in rest]
        expected["rest"] = "/".join(rest)
    text = "/" + "/".join(template)
    routes = routes_of(f"GET {text}")
    assert match(routes, "GET", "/" + "/".join(path)) == (f"GET {text}", expected)
    assert routes.match("POST", "/" + "/".join(path)) == {"GET"}


def forking(depth: int) -> Routes:
    """Return routes that fork at each segment, so that a path of `a` alone leads to all of them."""
    routes = Routes()
    for number, forks in enumerate(product(("a", "{}"), repeat=depth)):
        segments = [one.replace("{}", f"{{p{at}}}") for at, one in enumerate(forks)]
        routes.add(Route("GET", "/".join(("", *segments, *["a"] * 12)), "t", f"f{number}"))
    return routes


def test_a_path_is_held_against_so_much_of_the_tree_and_no_more() -> None:
    routes = forking(12)
    lost = "/" + "/".join(["a"] * 23) + "/b"
    took = []
    for _ in range(3):
        begun = process_time()
        assert routes.match("GET", lost) is None
        took.append(process_time() - begun)
    assert min(took) < 0.02  # all requests of a node wait for it
    assert match(routes, "GET", "/" + "/".join(["a"] * 24)) == ("f0", {})
    # As many places as are looked at tell the methods; where there were more, nothing is told.
    assert routes.match("POST", "/" + "/".join(["a"] * 24)) is None
    assert forking(3).match("POST", "/" + "/".join(["a"] * 15)) == {"GET"}


def test_that_is_far_from_what_many_routes_need() -> None:
    routes = routes_of(
        *(f"GET /{{tenant}}/kind{n}/{{id}}/part/{{part}}" for n in range(3 * MAX_LOOKED_AT))
    )
    last = f"/x/kind{3 * MAX_LOOKED_AT - 1}/1/part/2"
    assert match(routes, "GET", last) is not None

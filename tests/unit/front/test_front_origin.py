"""Answers on a shared host: cookies get the project's path, what holds for the host is left out."""

from __future__ import annotations

import pytest

from casemate.front.origin import confined, is_script_for_all
from casemate.model.http import HttpHead, HttpResponse


def cookie(value: bytes) -> bytes | None:
    answer = confined(HttpResponse(200, ((b"Set-Cookie", value),), b""), b"/pay")
    return dict(answer.headers).get(b"Set-Cookie")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"a=1", b"a=1; Path=/pay"),
        (b"a=1; Path=/", b"a=1; Path=/pay"),
        (b"a=1; path=/pay", b"a=1; Path=/pay"),
        (b"a=1; Path=/pay/x; Secure", b"a=1; Secure; Path=/pay/x"),
        (b"a=1; Path=/payments", b"a=1; Path=/pay"),
        (b"a=1; Path=/pay/x; PATH = /", b"a=1; Path=/pay"),
        (b"a=1; Path=/; Path=/pay", b"a=1; Path=/pay"),
        (b"a=1; Domain=example.com; SameSite=Lax", b"a=1; SameSite=Lax; Path=/pay"),
        (b"a=1;domain =.example.com", b"a=1; Path=/pay"),
        (b"__Host-a=1; Path=/; Secure", None),
        (b" __hOST-a=1; Path=/; Secure", None),
        (b"=__Host-a=1; Path=/; Secure", None),
        (b" = __Host-a; Path=/; Secure", None),
        (b"a=1; Path=/pay/../other", b"a=1; Path=/pay"),
        (b"a=1; Path=/pay/.%2E/other", b"a=1; Path=/pay"),
    ],
)
def test_a_cookie_is_for_the_projects_paths(given: bytes, kept: bytes | None) -> None:
    assert cookie(given) == kept


@pytest.mark.parametrize(
    "name",
    [
        *(b"Strict-Transport-Security", b"clear-site-data", b"ALT-SVC", b"Service-Worker-Allowed"),
        *(b"Shared-Storage-Write", b"Observe-Browsing-Topics"),
    ],
)
def test_what_holds_for_the_whole_host_is_left_out(name: bytes) -> None:
    given = HttpResponse(200, ((name, b"x"), (b"etag", b"1")), b"")
    assert confined(given, b"/pay").headers == ((b"etag", b"1"),)


@pytest.mark.parametrize(
    "prefix",
    [b"/", b"/;x", b"/pay;x", b"/pay;Domain=example.com", b"/pay;", b"", b"pay", b"/a b", b"/a\0"],
)
def test_where_no_cookie_can_be_bounded_there_is_none(prefix: bytes) -> None:
    # Browsers end a path at `;`: `Path=/pay;x` would be that of another project, `/;x` everybody's.
    given = HttpResponse(200, ((b"Set-Cookie", b"a=1; Path=/"), (b"etag", b"1")), b"")
    assert confined(given, prefix).headers == ((b"etag", b"1"),)


@pytest.mark.parametrize("prefix", [b"/invoke/shop", b"/a,b=c:d@e", b"/%C3%A9", b"/a.b-c_d~e"])
def test_a_usual_path_is_a_cookies(prefix: bytes) -> None:
    given = HttpResponse(200, ((b"Set-Cookie", b"a=1"),), b"")
    assert confined(given, prefix).headers == ((b"Set-Cookie", b"a=1; Path=" + prefix),)


@pytest.mark.parametrize(
    ("path", "asked", "found"),
    [
        ("/worker.js", True, True),
        ("/", True, True),
        ("/shop/worker.js", True, False),
        ("/worker.js", False, False),
    ],
)
def test_a_worker_for_the_whole_origin_is_told(path: str, asked: bool, found: bool) -> None:
    headers = ((b"service-worker", b"script"),) if asked else ()
    assert is_script_for_all(HttpHead("GET", path, "", headers, "192.0.2.1")) is found

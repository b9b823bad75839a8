"""What an answer may say of the whole origin: nothing, where other projects answer there too.

A browser keeps cookies, service workers and security settings by host name. On a host that projects
share, what one of them sets for all of it would change or read what the others do.
"""

from __future__ import annotations

import re

from casemate.model.http import HttpHead, HttpResponse

_WHOLE_ORIGIN = frozenset(
    (
        b"accept-ch",
        b"alt-svc",
        b"clear-site-data",
        b"critical-ch",
        b"expect-ct",
        b"nel",
        b"observe-browsing-topics",
        b"origin-agent-cluster",
        b"public-key-pins",
        b"public-key-pins-report-only",
        b"report-to",
        b"reporting-endpoints",
        b"sec-session-registration",
        b"secure-session-registration",
        b"service-worker-allowed",
        b"set-login",
        b"shared-storage-write",
        b"strict-transport-security",
        b"use-as-dictionary",
    )
)
"""Headers that hold for a whole host or origin, whatever path they came from."""
_COOKIE = b"set-cookie"
_TOUCHED = _WHOLE_ORIGIN | {_COOKIE}
_HOST_COOKIE = b"__host-"
"""Cookies whose name begins so are taken by browsers for the whole host only (RFC 6265bis)."""
_COOKIE_PATH = re.compile(rb"(?:/[A-Za-z0-9\-._~!$&'()*+,=:@%]{1,1024}){1,2}+")
"""A prefix that can be a cookie's path. A `;` would end it there, so that browsers took a shorter
one, of another project; and `/` alone is every path."""


def is_script_for_all(head: HttpHead) -> bool:
    """Tell whether a browser asks for a service worker that could stand before every path.

    A worker may control what is in its script's folder (Service Workers, section 3.3.2), which of
    `/worker.js` is the whole origin. Browsers name what they ask for (section 4.6, `Fetch a
    script`), and pages cannot change that header.
    """
    return head.path.count("/") < 2 and head.header(b"service-worker") is not None


def says_of_origin(response: HttpResponse) -> bool:
    """Tell whether an answer has any header that `confined` would look at."""
    return not _TOUCHED.isdisjoint([name.lower() for name, _ in response.headers])


def confined(response: HttpResponse, prefix: bytes) -> HttpResponse:
    """Return an answer that sets nothing beyond the paths below `prefix`, such as `/payments`.

    Cookies keep their value and get that path, or are left out where it can be no cookie's; what
    holds for the whole origin is left out.
    """
    if not says_of_origin(response):
        return response
    bounded = _COOKIE_PATH.fullmatch(prefix) is not None
    kept = []
    for name, value in response.headers:
        lower = name.lower()
        if lower in _WHOLE_ORIGIN:
            continue
        if lower == _COOKIE:
            cookie = _cookie(value, prefix) if bounded else None
            if cookie is not None:
                kept.append((name, cookie))
            continue
        kept.append((name, value))
    response.headers = tuple(kept)
    return response


def _cookie(value: bytes, prefix: bytes) -> bytes | None:
    """Return a cookie for paths below `prefix` alone; None if browsers would take no such one."""
    pair, *attributes = value.split(b";")
    # Without a name its value is sent as if it were one.
    if pair.lstrip(b"= \t").lower().startswith(_HOST_COOKIE):
        return None
    path = prefix
    kept = [pair.rstrip()]
    for attribute in attributes:
        name, _, given = attribute.strip().partition(b"=")
        lower, given = name.strip().lower(), given.strip()
        if lower == b"domain":
            continue
        if lower == b"path":
            # The last one counts, as it does for browsers.
            inside = given == prefix or given.startswith(prefix + b"/")
            # Some clients resolve dots.
            dots = b".." in given.lower().replace(b"%2e", b".")
            path = given if inside and not dots else prefix
            continue
        kept.append(attribute.strip())
    return b"; ".join((*kept, b"Path=" + path))

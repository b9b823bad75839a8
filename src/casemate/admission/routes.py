"""Routes of HTTP triggers: from method and path to a function.

A literal segment wins over a parameter, a parameter over `{rest...}`; a method over `*`. Paths
are split before they are decoded, so that an encoded slash never makes a segment; what decodes
to `.`, `..`, a slash or a control character, or is no percent-encoding, matches nothing.

Routes of one project can fork at each segment, so that a path has to be held against as many places
as there are routes: what would take more than MAX_LOOKED_AT of them matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

import msgspec

from casemate.model.route import RESERVED_SEGMENTS, first_segment

_MAX_SEGMENTS = 64
MAX_LOOKED_AT = 1_000
"""Places of the tree that one path is held against, within a millisecond: all requests wait for it.
"""
_MALFORMED = re.compile("%(?![0-9A-Fa-f]{2})")


class Route(msgspec.Struct, frozen=True):
    """One declared route of one function."""

    method: str
    template: str
    project: str
    function: str
    asynchronous: bool = False
    """True answers once the event is kept."""


class Match(msgspec.Struct, frozen=True):
    """A route that fits, with its parameters decoded."""

    route: Route
    parameters: dict[str, str]


class _Node:
    __slots__ = ("literals", "parameter", "rest", "routes")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.rest: dict[str, tuple[Route, tuple[str, ...]]] = {}
        self.routes: dict[str, tuple[Route, tuple[str, ...]]] = {}


def _decode(segment: str) -> str | None:
    """Return a path segment decoded, None if it is one that no honest client sends."""
    if "%" not in segment:
        decoded = segment
    elif _MALFORMED.search(segment) is not None:
        return None
    else:
        try:
            decoded = unquote_to_bytes(segment).decode()
        except UnicodeDecodeError:
            return None
    if decoded in (".", "..") or "/" in decoded or "\\" in decoded:
        return None
    if any(ord(c) < 32 or ord(c) == 127 for c in decoded):
        return None
    return decoded


class Routes:
    """All routes of a node, as a tree of segments."""

    def __init__(self) -> None:
        """Start without a route."""
        self._root = _Node()
        self.all: list[Route] = []
        self._below: dict[str | None, set[tuple[str, str]]] = {}

    def add(self, route: Route) -> Route | None:
        """Add a route; return the one that already has this method and shape instead, if any."""
        target, names = self._place(route.template)
        present = target.get(route.method)
        if present is not None:
            return present[0]
        target[route.method] = (route, names)
        self.all.append(route)
        function = route.project, route.function
        self._below.setdefault(first_segment(route.template), set()).add(function)
        return None

    def functions_below(self, first: str | None) -> Collection[tuple[str, str]]:
        """Return project and name of the functions that have routes with a first segment."""
        return self._below.get(first, ())

    def rivals(self, route: Route) -> list[Route]:
        """Return the routes of the same shape that take a method of this one; `*` takes all."""
        target, _ = self._place(route.template)
        return [
            other
            for method, (other, _) in target.items()
            if "*" in (method, route.method) or method == route.method
        ]

    def _place(
        self, template: str
    ) -> tuple[dict[str, tuple[Route, tuple[str, ...]]], tuple[str, ...]]:
        """Return where the routes of a template's shape are kept by method, and its names."""
        node = self._root
        names: list[str] = []
        for segment in (s for s in template.split("/") if s):
            if segment.startswith("{") and segment.endswith("...}"):
                return node.rest, (*names, segment[1:-4])
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        return node.routes, tuple(names)

    def match(self, method: str, path: str) -> Match | frozenset[str] | None:
        """Return the match; the methods allowed if only the method does not fit; else None."""
        segments = _segments(path)
        if segments is None:
            return None
        search = _Search(method, segments)
        found = search.below(self._root, 0, ())
        if search.left < 0:
            return None
        if found is None:
            return frozenset(search.allowed) if search.allowed else None
        return found


def _segments(path: str) -> list[str] | None:
    """Return the segments of a path, decoded; None if no route may take it.

    What the node answers itself is its own on every host, also where a route takes any segment.
    """
    if not path.startswith("/"):
        return None
    raw = [] if path == "/" else path.split("/")[1:]
    if len(raw) > _MAX_SEGMENTS:
        return None
    segments = []
    for segment in raw:
        decoded = _decode(segment)
        if not decoded:
            return None
        segments.append(decoded)
    return None if segments and segments[0].lower() in RESERVED_SEGMENTS else segments


class _Search:
    """One path that is held against the tree, and how much of that may still be looked at."""

    __slots__ = ("allowed", "left", "method", "segments")

    def __init__(self, method: str, segments: list[str]) -> None:
        self.method = method
        self.segments = segments
        self.allowed: set[str] = set()
        self.left = MAX_LOOKED_AT

    def below(self, node: _Node, index: int, values: tuple[str, ...]) -> Match | None:
        self.left -= 1
        if self.left < 0:
            return None
        if index == len(self.segments):
            return self._pick(node.routes, values)
        segment = self.segments[index]
        child = node.literals.get(segment)
        if child is not None:
            found = self.below(child, index + 1, values)
            if found is not None:
                return found
        if node.parameter is not None:
            found = self.below(node.parameter, index + 1, (*values, segment))
            if found is not None:
                return found
        if not node.rest:
            return None
        return self._pick(node.rest, (*values, "/".join(self.segments[index:])))

    def _pick(
        self, routes: dict[str, tuple[Route, tuple[str, ...]]], values: tuple[str, ...]
    ) -> Match | None:
        entry = routes.get(self.method) or routes.get("*")
        if entry is None and self.method == "HEAD":
            entry = routes.get("GET")  # RFC 9110, section 9.3.2: the same, without the content
        if entry is None:
            self.allowed.update(routes)
            return None
        route, names = entry
        return Match(route, dict(zip(names, values, strict=True)))

"""Calls of functions by their names: `POST /invoke/PROJECT/FUNCTION[@QUALIFIER]`."""

from __future__ import annotations

import re
import time
from functools import partial

from casemate.admission import DIRECT, Catalogue
from casemate.front.asking import Asking
from casemate.front.calls import Calls
from casemate.front.nowhere import Nowhere, without_body
from casemate.front.said import Said
from casemate.model.function import NAME_PATTERN
from casemate.model.http import UNKNOWN_LIMIT, Destination, HttpHead, HttpRequest, HttpResponse
from casemate.model.path import RawInvocation

INVOKE_PREFIX = "/invoke/"
_ONLY_POST = "Functions are invoked with POST."
_NAME = re.compile(NAME_PATTERN.removesuffix("$"))

Names = tuple[str, str, str | None]
"""Project, function, and alias or version number if one is asked for."""


def split_invoke_path(path: str) -> Names | None:
    """Return project, function and qualifier of `/invoke/<project>/<function>[@qualifier]`."""
    parts = path[len(INVOKE_PREFIX) :].split("/")
    if len(parts) != 2:
        return None
    function, at, qualifier = parts[1].partition("@")
    if not (_is_name(parts[0]) and _is_name(function)):
        return None
    if at and not (_is_name(qualifier) or (qualifier.isascii() and qualifier.isdigit())):
        return None
    return parts[0], function, qualifier or None


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


class NamedCalls:
    """What is below INVOKE_PREFIX."""

    def __init__(self, catalogue: Catalogue, calls: Calls, nowhere: Nowhere) -> None:
        """Look functions up in `catalogue`."""
        self._catalogue = catalogue
        self._calls = calls
        self._nowhere = nowhere

    def find(self, head: HttpHead, asking: Asking) -> Destination | HttpResponse:
        """Return where a request leads, or the answer to a call for which there is no room."""
        names = split_invoke_path(head.path)
        if names is None:
            return self._nowhere.find(head, asking)
        if head.method != "POST":
            version = self._catalogue.find(*names)
            limit = UNKNOWN_LIMIT if version is None else self._calls.limit(version, asking, DIRECT)
            return without_body(head, partial(self._only_post, head, asking), limit)
        return _NamedCall(self._catalogue, self._calls, names, head, asking).find()

    def _only_post(self, head: HttpHead, asking: Asking) -> HttpResponse:
        return self._nowhere.wrong_method(head, asking, ("POST",), detail=_ONLY_POST)


class _NamedCall:
    """A call as its head names it. The same again serves the same head on the same connection:
    it holds what was read, and decides nothing but anew."""

    __slots__ = (
        "_asking",
        "_calls",
        "_catalogue",
        "_found",
        "_known",
        "_names",
        "_public",
        "_revision",
        "_said",
    )

    def __init__(
        self, catalogue: Catalogue, calls: Calls, names: Names, head: HttpHead, asking: Asking
    ) -> None:
        self._catalogue = catalogue
        self._calls = calls
        self._names = names
        self._asking = asking
        self._said = Said(head, later=False)
        self._found = self._destination(UNKNOWN_LIMIT)
        self._revision = 0
        """That of the catalogue by which `_found` holds for callers who are `_known` as before."""
        self._known = self._public = False

    def _destination(self, limit: int) -> Destination:
        return Destination(limit, self.answer, again=self.find, plain=self._said.is_plain)

    def find(self) -> Destination | HttpResponse:
        """Return where it leads, or the answer if there is no room for it."""
        catalogue = self._catalogue
        if (
            self._revision == catalogue.revision
            and not self._calls.crowded
            and (self._public or (self._asking.principal() is not None) is self._known)
        ):
            return self._found
        self._revision = 0
        version = catalogue.find(*self._names)
        limit = UNKNOWN_LIMIT
        if version is not None:
            full = self._calls.full(version, self._said, self._asking, DIRECT)
            if full is not None:
                return full
            limit = self._calls.limit(version, self._asking, DIRECT)
            self._public = catalogue.closure(*self._names[:2], version).is_open(DIRECT)
            self._known = self._public or self._asking.principal() is not None
            if catalogue.is_one(*self._names):
                self._revision = catalogue.revision
        if limit != self._found.limit:
            self._found = self._destination(limit)
        return self._found

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Call the function with the body of one request."""
        said, asking = self._said, self._asking
        project, function, qualifier = self._names
        raw = RawInvocation(
            trigger=DIRECT,
            project=project,
            function=function,
            qualifier=qualifier,
            credential=asking.credential,
            checked=asking.checked,
            content_type=said.content_type,
            body=request.body,
            attributes=said.attributes,
            received_at=time.time(),
            remote_address=request.head.peer,
            trace=said.trace,
        )
        return await self._calls.call(raw, said, asking)

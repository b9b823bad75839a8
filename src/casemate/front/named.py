"""Calls of functions by their names: `POST /invoke/PROJECT/FUNCTION[@QUALIFIER]`."""

from __future__ import annotations

import re
import time
from functools import partial

from casemate.admission import Catalogue
from casemate.front.asking import Asking
from casemate.front.calls import Calls, attributes_of
from casemate.front.nowhere import UNKNOWN_LIMIT, Nowhere
from casemate.model.function import NAME_PATTERN
from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse
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
        version = self._catalogue.find(*names)
        if head.method != "POST":
            limit = UNKNOWN_LIMIT if version is None else self._calls.limit(version, asking)
            return Destination(limit, partial(self._only_post, asking))
        limit = UNKNOWN_LIMIT
        if version is not None:
            full = self._calls.full(version, head, asking, "invoke")
            if full is not None:
                return full
            limit = self._calls.limit(version, asking)
        return Destination(limit, partial(self._call, names, asking))

    async def _only_post(self, asking: Asking, request: HttpRequest) -> HttpResponse:
        return self._nowhere.wrong_method(request.head, asking, ("POST",), detail=_ONLY_POST)

    async def _call(self, names: Names, asking: Asking, request: HttpRequest) -> HttpResponse:
        head = request.head
        content_type = head.header(b"content-type")
        raw = RawInvocation(
            trigger="invoke",
            project=names[0],
            function=names[1],
            qualifier=names[2],
            credential=asking.credential,
            checked=asking.checked,
            content_type=content_type.decode("latin-1") if content_type else "",
            body=request.body,
            attributes=attributes_of(head),
            received_at=time.time(),
            remote_address=head.peer,
        )
        return await self._calls.call(raw, request, asking, later=False)

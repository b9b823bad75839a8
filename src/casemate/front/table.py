"""The one route table: what a request leads to, asked once for each, by its head alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from casemate.admission import Authenticator
from casemate.front.asking import Asking
from casemate.front.declared import METHODS
from casemate.front.own_names import OwnNames
from casemate.model.http import SERVER_PATH, Destination, HttpHead, HttpResponse

_SERVER_OPTIONS = HttpResponse(204, ((b"allow", ", ".join(METHODS).encode()),))


class Place(Protocol):
    """What answers at some paths."""

    def find(self, head: HttpHead, asking: Asking) -> Destination | HttpResponse:
        """Return where a request leads, or its answer if its body is not wanted."""
        ...


class RouteTable:
    """All that a node answers."""

    def __init__(
        self,
        accounts: Authenticator,
        *,
        at: Mapping[str, Place],
        below: Mapping[str, Place],
        others: Place,
        on_credential: Callable[[str, str, str], None],
        names: OwnNames | None = None,
    ) -> None:
        """Lead the paths `at` to their places, those `below` a first segment, and all `others`.

        `accounts` tells whose a credential is. `on_credential` sees each that is presented, with
        the address that it came from and the first part of the path, whatever leads there. `names`
        are what the node answers to; None: any.
        """
        self._names = names
        self._accounts = accounts
        self._at = dict(at)
        self._below = dict(below)
        self._others = others
        self._on_credential = on_credential

    def find(self, head: HttpHead) -> Destination | HttpResponse:
        """Return where a request leads, as `HttpServer` asks for it."""
        if self._names is not None and (refusal := self._names.refusal(head)) is not None:
            return refusal
        path = head.path
        if path == SERVER_PATH:
            return _SERVER_OPTIONS
        place = self._at.get(path)
        if place is None:
            # `/first/...`: without a second slash there is nothing below, which none of them has.
            place = self._below.get(path[: path.find("/", 1) + 1], self._others)
        asking = Asking(self._accounts, head)
        if asking.credential is not None:
            self._on_credential(asking.credential, head.peer, self._way(path))
        return place.find(head, asking)

    def _way(self, path: str) -> str:
        """Return where a path leads in words that are the node's, none of a caller."""
        first = path[: path.find("/", 1) + 1]
        return first if first in self._below else path if path in self._at else "route"

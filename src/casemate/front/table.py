"""The one route table: what a request leads to, asked once for each, by its head alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from casemate.admission import Authenticator
from casemate.front.asking import Asking
from casemate.model.http import Destination, HttpHead, HttpResponse


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
    ) -> None:
        """Lead the paths `at` to their places, those `below` a first segment, and all `others`.

        `accounts` tells whose a credential is.
        """
        self._accounts = accounts
        self._at = dict(at)
        self._below = dict(below)
        self._others = others

    def find(self, head: HttpHead) -> Destination | HttpResponse:
        """Return where a request leads, as `HttpServer` asks for it."""
        path = head.path
        place = self._at.get(path)
        if place is None:
            # `/first/...`: without a second slash there is nothing below, which none of them has.
            place = self._below.get(path[: path.find("/", 1) + 1], self._others)
        return place.find(head, Asking(self._accounts, head))

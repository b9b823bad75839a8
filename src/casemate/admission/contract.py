"""Whether an event's data satisfies its contract, or strict default limits if it has none.

Contracts are compiled when the catalogue is replaced, once for each text; on the path data is
decoded once and checked. What cannot be checked is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from casemate.contracts import (
    Contract,
    ContractError,
    Violation,
    exceeded,
    too_large,
    values_of,
)
from casemate.decoding import (
    DECODING_ERRORS,
    MAX_DIGITS,
    MAX_EXTREMES,
    has_long_number,
    has_many_extremes,
)
from casemate.model.deployment import Version
from casemate.model.event import Event
from casemate.model.function import FunctionSpec
from casemate.model.path import RawInvocation, Request
from casemate.model.trigger import TriggerKind

_decode = msgspec.json.Decoder().decode
_NOT_JSON = Violation("", "json")
_NOT_SENT_AS_JSON = Violation("", "content-type, which is not application/json")
_NOT_COMPILED = Violation("", "contract")
"""The contract itself does not hold: nothing satisfies it."""
_EXTREMES = Violation("", "extreme-numbers", bound=f"{MAX_EXTREMES:,}")
_LONG_NUMBER = Violation("", "long-number", bound=f"{MAX_DIGITS:,} digits")
_JSON = "application/json"

Checked = Contract | None | Violation
"""A contract, None where there is none, or why nothing is let through."""


class _Compiled:
    """The contracts of one version."""

    __slots__ = ("direct", "routes", "triggers")

    def __init__(self, spec: FunctionSpec, compile_text: _Compiler) -> None:
        self.direct = compile_text(spec.contract)
        self.routes = {(t.method, t.path): compile_text(t.contract) for t in spec.http}
        self.triggers = {t.name: compile_text(t.contract) for t in spec.triggers}

    def of_route(self, method: str, template: str) -> Checked:
        for wanted in (method, "GET", "*") if method == "HEAD" else (method, "*"):
            if (wanted, template) in self.routes:
                return self.routes[wanted, template]
        return None


class _Compiler:
    """Compiles each text once, and keeps what the catalogue before had."""

    def __init__(self, before: dict[str, Checked]) -> None:
        self._before = before
        self.texts: dict[str, Checked] = {}

    def __call__(self, text: str) -> Checked:
        if not text:
            return None
        if text not in self.texts:
            found = self._before.get(text)
            self.texts[text] = found if found is not None else _compiled(text)
        return self.texts[text]


class Contracts:
    """The contracts of every version there is. Replaced whole, so readers never see half."""

    def __init__(self) -> None:
        """Start without a version."""
        self._texts: dict[str, Checked] = {}
        self._versions: dict[str, _Compiled] = {}

    def replace(self, versions: Iterable[Version]) -> None:
        """Compile what is new; versions are told apart by their digests."""
        compiler = _Compiler(self._texts)
        found: dict[str, _Compiled] = {}
        for version in versions:
            if version.digest not in found:
                found[version.digest] = _Compiled(version.spec, compiler)
        self._texts, self._versions = compiler.texts, found

    def violation(self, version: Version, request: Request) -> Violation | None:
        """Return what a request breaks of the contract that it is under, None if nothing."""
        compiled = self._versions.get(version.digest)
        if compiled is None:
            return _NOT_COMPILED
        raw = request.raw
        if raw.events:
            for event in raw.events:
                found = _of_event(compiled, event, raw)
                if found is not None:
                    return found
            return None
        if raw.event is None:
            return _check(compiled.direct, request.event)
        return _of_request(compiled, raw.event, raw.body)


def contract_text(spec: FunctionSpec, raw: RawInvocation) -> bytes | None:
    """Return the text of the contract that an invocation is under, None if it has none."""
    text = spec.contract
    event = raw.event
    if raw.events and raw.events[0].kind is TriggerKind.HTTP:
        event = raw.events[0].detail
    if event is not None:
        route = spec.route(event)
        text = "" if route is None else route.contract
    elif raw.events:
        trigger = spec.trigger(raw.events[0].trigger)
        text = text if trigger is None else trigger.contract
    return text.encode() if text else None


def _of_event(compiled: _Compiled, event: Event, raw: RawInvocation) -> Violation | None:
    data = bytes(event.data)
    if event.kind is TriggerKind.INVOKE:
        return _check(compiled.direct, data)
    if event.kind is TriggerKind.HTTP:
        if "cloudevent" in event.detail:  # which brings its data apart from the request
            method, route = event.detail.get("method"), event.detail.get("route")
            return _check(compiled.of_route(str(method), str(route)), data)
        body = event.detail.get("body")
        return _of_request(compiled, event.detail, body.encode() if isinstance(body, str) else b"")
    # An event that no trigger declares, such as a destination's, is judged as a direct call is.
    return _check(compiled.triggers.get(event.trigger, compiled.direct), data)


def _of_request(compiled: _Compiled, event: dict[str, object], body: bytes) -> Violation | None:
    contract = compiled.of_route(str(event.get("method")), str(event.get("route")))
    headers = event.get("headers")
    content_type = str(headers.get("content-type", "")) if isinstance(headers, dict) else ""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == _JSON or media_type.endswith("+json"):
        return _check(contract, body or b"null")
    if contract is None:
        return None  # what is no JSON is bounded by its size alone
    return _check(contract, b"null") if not body else _NOT_SENT_AS_JSON


def _slow_to_read(data: bytes) -> Violation | None:
    if has_many_extremes(data):
        return _EXTREMES
    return _LONG_NUMBER if has_long_number(data) else None


def _check(contract: Checked, data: bytes) -> Violation | None:
    if isinstance(contract, Violation):
        return contract
    # What only counts bytes comes first: each other look at 100 MB holds the event loop.
    if contract is None:
        return too_large(data) or _slow_to_read(data) or exceeded(data)
    costly = contract.costly(data) or _slow_to_read(data)
    if costly is not None:
        return costly
    try:
        value = _decode(data)
    except DECODING_ERRORS:
        return _NOT_JSON
    if contract.is_valid(value):
        return None
    return contract.violation(value, len(data), values_of(data)) or _NOT_COMPILED


def _compiled(text: str) -> Checked:
    try:
        return Contract(text)
    except ContractError:
        return _NOT_COMPILED

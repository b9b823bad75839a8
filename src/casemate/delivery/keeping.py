"""The way in of what runs later: admitted as if it ran now, kept, and only then acknowledged.

(1) request  = parse(raw)
(2) admitted = admission.admit(request)     all that is asked of a call that is waited for
(-) the event is durable in the function's inbox, or the caller is told that it is not
(5) 202 with an id, or a sealed refusal
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import msgspec

from casemate.admission import Admission
from casemate.data.errors import DataFullError, LimitError
from casemate.data.interface import (
    InvocationState,
    InvocationStatus,
    NewMessage,
    ProjectData,
)
from casemate.delivery.admitted import AdmissionMarks
from casemate.delivery.incoming import Incoming, Taker
from casemate.delivery.leased import Known
from casemate.delivery.wish import AGE, DELAY, LATER, PRIORITY, Wish
from casemate.invocation.parse import parse
from casemate.invocation.rendering import events_of
from casemate.invocation.unfinished import broken, refused
from casemate.model.errors import ConflictError, OutOfServiceError, UnavailableError
from casemate.model.event import Event
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Finished, RawInvocation, RefusedError, Request
from casemate.model.principal import ANONYMOUS, PrincipalKind
from casemate.operations.invocations import BeginInvocation
from casemate.seal import Seal
from casemate.seal.ids import new_invocation_id

_RETRY_SECONDS = 5
_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_APPLIED = (b"preference-applied", b"respond-async")
_FROM_OUTSIDE = frozenset({PrincipalKind.USER, PrincipalKind.TOKEN, PrincipalKind.ANONYMOUS})
_DECIDED_AGAIN = _FROM_OUTSIDE | {PrincipalKind.FUNCTION}
"""Who can lose the right to a call: what they had kept and did not begin yet is not done then."""
_encode = msgspec.json.Encoder().encode

Once = Callable[[Admitted, Wish], Awaitable[HttpResponse]]


class Keeping:
    """Keeps events in the inboxes of functions, and the idempotency keys of calls."""

    def __init__(
        self,
        admission: Admission,
        seal: Seal,
        data: ProjectData,
        ensure_inbox: Callable[[str], Awaitable[None]],
        marks: AdmissionMarks,
        answerable: Callable[[str], str],
        trouble: Callable[[], str],
    ) -> None:
        """Keep in `data`, with `marks`; `ensure_inbox` makes the inboxes of a project.

        `answerable` says who answers for a token: what waits for each of them is bounded.
        `trouble` says why nothing can be recorded or decided: then nothing is accepted either.
        """
        self._admission = admission
        self._seal = seal
        self._data = data
        self._ensure_inbox = ensure_inbox
        self._incoming = Incoming(data, ensure_inbox)
        self._marks = marks
        self._answerable = answerable
        self._trouble = trouble

    def hand_to(self, taker: Taker) -> None:
        """Have events that can run at once handed to `taker` as they are kept."""
        self._incoming.taker = taker

    async def keep(self, raw: RawInvocation) -> HttpResponse:
        """Keep an event for a function and answer with its id, or why it is not. Never raises."""
        return await self.take(raw, LATER, self._keep)

    async def take(self, raw: RawInvocation, wish: Wish, once: Once) -> HttpResponse:
        """Keep what is to run later, give what is not to `once`. Never raises."""
        request: Request | None = None
        admitted: Admitted | None = None
        finished: Finished
        try:
            raw = raw if raw.id else msgspec.structs.replace(raw, id=new_invocation_id())
            # Who is answered 202 relies on it, and no denial before it would be on record either.
            if trouble := self._trouble():
                raise RefusedError(Outcome.UNAVAILABLE, trouble, retry_after=_RETRY_SECONDS)
            request = parse(raw, later=wish.later)
            admitted = self._admission.admit(request)
            _require_choice(admitted, wish)
            return await (self._keep if wish.later else once)(admitted, wish)
        except RefusedError as refusal:
            finished = refused(raw, request, admitted, refusal)
        except Exception as error:  # noqa: BLE001 - whatever fails here must not reach a caller
            finished = broken(raw, request, error)
        return self._seal.close(finished)

    async def _keep(self, admitted: Admitted, wish: Wish) -> HttpResponse:
        identity = admitted.request.id
        if admitted.flow is not None and admitted.flow.ceilings:
            # What is kept outlives the flow, and with it what the caller narrowed.
            raise RefusedError(
                Outcome.INVALID,
                "What a calling function narrows with `allow` holds only while it waits.",
            )
        count = len(admitted.request.raw.events)
        if wish.idempotency is not None:
            if count > 1:
                raise RefusedError(
                    Outcome.INVALID,
                    "An idempotency key is for one event; send them one by one.",
                    status=400,
                )
            # Claim and event in one transaction: whatever becomes of this call, a second one with
            # the key finds both or neither.
            (event,), _ = self._messages(admitted, wish, (identity,))
            first = await self.claim(admitted, wish.idempotency, event)
            if first is not None:
                if first.state is InvocationState.RUNNING and not first.attempts:
                    raise under_way()  # claimed by a call that is waited for
                return _accepted(first.id, wish)
            return _accepted(identity, wish)
        identities: tuple[str, ...] = (identity,)
        if count > 1:
            identities = (identity, *(new_invocation_id() for _ in range(count - 1)))
        await self._send(admitted, wish, identities)
        return _accepted(identity, wish, identities)

    async def _send(self, admitted: Admitted, wish: Wish, identities: tuple[str, ...]) -> None:
        raw = admitted.request.raw
        messages, known = self._messages(admitted, wish, identities)
        try:
            await self._incoming.keep(raw.project, raw.function, messages, known)
        except (LimitError, UnavailableError, OutOfServiceError) as error:
            raise _not_kept(error) from error

    def _messages(
        self, admitted: Admitted, wish: Wish, identities: tuple[str, ...]
    ) -> tuple[tuple[NewMessage, ...], tuple[Known, ...]]:
        """Return what is to be kept, an event for each identity, and what is known of them."""
        raw, version, principal = admitted.request.raw, admitted.version, admitted.principal
        kept = "" if raw.trace is None else raw.trace.kept
        keeper = principal.text if principal.kind in _DECIDED_AGAIN else ""
        is_from_outside = principal.kind in _FROM_OUTSIDE
        caller = self._answerable(keeper) if is_from_outside else principal.text
        expires_at = None
        if wish.max_age is not None:
            expires_at = self._data.coordination.clock() + wish.max_age
        events = [_as_kept(event, kept, keeper) for event in events_of(admitted.request, keeper)]
        messages = tuple(
            [
                NewMessage(
                    body=(body := _encode(event)),
                    delay=wish.delay,
                    key=wish.key,
                    priority=wish.priority,
                    expires_at=expires_at,
                    invocation=identity,
                    qualifier=raw.qualifier or "",
                    caller=caller,
                    anonymous=principal is ANONYMOUS,
                    admitted=self._marks.make(
                        version.project, version.function, version.digest, body
                    ),
                )
                for event, identity in zip(events, identities, strict=True)
            ]
        )
        if raw.events or raw.event is not None:
            return messages, ()  # what a source told in its own way is read as it is kept
        (event,), (message,) = events, messages
        return messages, (Known(message.body, event, version.digest if message.admitted else ""),)

    async def claim(
        self, admitted: Admitted, key: str, event: NewMessage | None = None
    ) -> InvocationStatus | None:
        """Claim an idempotency key, and keep the event with it; return the call that has it.

        Raises RefusedError.
        """
        raw = admitted.request.raw
        try:
            await self._ensure_inbox(raw.project)
            return await self._data.change(
                BeginInvocation(
                    project=raw.project,
                    function=raw.function,
                    idempotency=_scoped(admitted, key),
                    fingerprint=_fingerprint(admitted),
                    invocation=admitted.request.id,
                    event=event,
                )
            )
        except LimitError as error:
            raise _not_kept(error) from error
        except ConflictError as error:
            raise RefusedError(
                Outcome.INVALID,
                "The idempotency key was used for another request; choose a new one.",
                status=409,
            ) from error
        except (UnavailableError, OutOfServiceError) as error:
            status = 507 if isinstance(error, DataFullError) else None
            raise RefusedError(
                Outcome.UNAVAILABLE,
                "The idempotency key cannot be kept now.",
                status=status,
                retry_after=_RETRY_SECONDS,
            ) from error


def _not_kept(error: LimitError | UnavailableError | OutOfServiceError) -> RefusedError:
    """Return what a caller is told whose event could not be kept."""
    if isinstance(error, LimitError):
        return RefusedError(
            Outcome.THROTTLED,
            "The function's inbox is full, or the event is larger than it takes.",
            retry_after=_RETRY_SECONDS,
        )
    if isinstance(error, DataFullError):
        return RefusedError(
            Outcome.UNAVAILABLE,
            "The node has no room for the event.",
            status=507,
            retry_after=_RETRY_SECONDS,
        )
    return RefusedError(
        Outcome.UNAVAILABLE, "The event cannot be kept now.", retry_after=_RETRY_SECONDS
    )


def _require_choice(admitted: Admitted, wish: Wish) -> None:
    """Refuse what a caller without a token chose of how its event is kept, unless it may.

    An event that nobody vouches for would lie on the disk for weeks, or overtake all others.
    """
    if admitted.principal is not ANONYMOUS:
        return
    chosen = [
        name.decode()
        for name, given in (
            (DELAY, wish.delay > 0),
            (PRIORITY, wish.priority != 0),
            (AGE, wish.max_age is not None),
        )
        if given
    ]
    if not chosen:
        return
    event = admitted.request.raw.event
    trigger = admitted.version.spec.route(event) if event is not None else None
    if trigger is None or not trigger.delivery_headers:
        raise RefusedError(
            Outcome.DENIED, f"A caller without a token does not choose {', '.join(chosen)} here."
        )


def _scoped(admitted: Admitted, key: str) -> str:
    """Return a key of this caller's own: nobody is shown an answer to somebody else."""
    return hashlib.sha256(f"{admitted.principal.text}\n{key}".encode()).hexdigest()


def _fingerprint(admitted: Admitted) -> str:
    """Return a digest of all that makes a request this request."""
    raw = admitted.request.raw
    event = raw.event or {}
    named = (
        raw.qualifier or "",
        raw.attributes,
        *(event.get(n) for n in ("method", "path", "query")),
    )
    told = hashlib.sha256(msgspec.json.encode(named))
    told.update(b"\n" + raw.content_type.encode() + b"\n" + raw.body)
    return told.hexdigest()


def under_way() -> RefusedError:
    """Return what a caller is told whose idempotency key is in use."""
    return RefusedError(
        Outcome.INVALID,
        "The call with this idempotency key is still under way.",
        status=409,
        retry_after=1,
    )


def _as_kept(event: Event, trace: str, keeper: str) -> Event:
    """Return an event as part of the trace that its request is part of, and with who keeps it."""
    if event.kept_by == keeper and event.trace == (trace or event.trace):
        return event
    return msgspec.structs.replace(event, trace=trace or event.trace, kept_by=keeper)


def _accepted(identity: str, wish: Wish, all_of_them: tuple[str, ...] = ()) -> HttpResponse:
    headers: tuple[tuple[bytes, bytes], ...] = (
        _JSON,
        _NO_STORE,
        (b"x-request-id", identity.encode()),
    )
    if wish.preferred:
        headers = (*headers, _APPLIED)
    told: dict[str, object] = {"id": identity}
    if len(all_of_them) > 1:
        told["ids"] = all_of_them
    return HttpResponse(202, headers, _encode(told))

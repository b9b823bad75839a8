"""The frozen types that an invocation passes through; each stage takes only the one before.

RawInvocation -> Request -> Admitted -> Placed -> Finished -> HttpResponse
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.model.event import Event
from casemate.model.grant import Grant
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.metrics import Told
from casemate.model.principal import Checked, Principal, PrincipalKind
from casemate.model.recording import Frame
from casemate.model.tracing import Span, TraceContext

_NO_CALLS = "The function takes no calls at present."
_CLOSED_SECONDS = 60
"""After which callers of a function in quarantine may try again."""


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What led to an invocation by a function. From one link to the next it only shrinks.

    It is made by the host and never leaves it: a function cannot show, change or keep one.
    """

    root: str
    """Id of the invocation that began it."""
    chain: tuple[str, ...]
    """The functions on the way as `project/name`, the outermost first."""
    deadline: float
    """Unix time by which all of it has ended."""
    ceilings: tuple[tuple[Grant, ...], ...] = ()
    """Every use must be within each of these, whatever the function itself is granted."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A function that invokes another one, or a trigger; known to the host, shows no credential."""

    principal: Principal
    flow: Flow | None = None
    """None for a trigger, with which a flow begins."""
    admitted_under: str = ""
    """A trigger: digest of the bundle for which its events were looked at when they were kept."""


class RawInvocation(msgspec.Struct, frozen=True, kw_only=True):
    """What a trigger hands over, nothing of it judged yet."""

    trigger: str
    """`invoke`, `function`, or a `TriggerKind`."""
    project: str
    function: str
    qualifier: str | None
    """Alias or version number asked for; None means the alias `live`."""
    credential: str | None
    """The Authorization header's value."""
    checked: Checked | None = None
    """What a check of it has found already."""
    content_type: str
    body: bytes
    event: dict[str, object] | None = None
    """The event to send for an HTTP trigger, built from the request; None for `invoke`."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Attributes of a CloudEvent in binary mode: names of `ce-` headers without that, values."""
    events: tuple[Event, ...] = ()
    """What a trigger other than HTTP brings: one event, or a batch of one trigger's."""
    batch: bool = False
    """True hands `events` over as a list even if there is one."""
    attempt: int = 1
    """Which try of an event that is kept this is."""
    id: str = ""
    """Id that whoever sent it was given already; empty: a new one."""
    received_at: float
    """Unix time in seconds."""
    remote_address: str = ""
    caller: Caller | None = None
    trace: TraceContext | None = None
    """Where the caller stands in a trace; None: one begins here."""
    sent_at: float = 0.0
    """Unix time from which it waited to be delivered; 0: it did not."""
    still: Callable[[], bool] | None = None
    """Tells of what the host or a function brings whether it is to run once it has waited."""

    @property
    def admitted_under(self) -> str:
        """The bundle for which the host has looked at the events already; empty for none.

        Only of what the host itself brings, whatever else a caller may be made of.
        """
        caller = self.caller
        if caller is None or caller.principal.kind is not PrincipalKind.TRIGGER or not self.events:
            return ""
        return caller.admitted_under


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """(1) A well-formed request; `event` is JSON."""

    id: str
    raw: RawInvocation
    event: bytes


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """(2) A request that may run, and the version that it runs on."""

    request: Request
    version: Version
    principal: Principal

    @property
    def flow(self) -> Flow | None:
        """What led here, if another function invoked this one."""
        caller = self.request.raw.caller
        return None if caller is None else caller.flow


class RunningInstance(Protocol):
    """An instance that a placed invocation has for itself."""

    holds_secret: bool
    """Whether a secret's value was given to it."""

    @property
    def number(self) -> int:
        """Its number within its zygote."""
        ...


class Used(Protocol):
    """What an invocation used, which may become known only after its end."""

    known: bool
    cpu_us: int
    memory: int
    """The most bytes it held; 0 where that is not known."""

    def then(self, call: Callable[[Any], None]) -> None:
        """Have `call` called with this once it is known, at once if it is."""
        ...


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """(3) An invocation with a ready instance of its own."""

    admitted: Admitted
    instance: RunningInstance
    queued: float
    """Seconds from admission to here."""
    cold: bool
    """True if a zygote was started for it."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner, and nobody else, is told of a failure."""

    type: str
    message: str
    trace: str = ""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """(4) An invocation that is over, however it ended."""

    outcome: Outcome
    request: Request | None = None
    raw: RawInvocation | None = None
    version: Version | None = None
    head: bytes = b""
    """Head of the instance's answer, not yet trusted."""
    body: bytes = b""
    failure: Failure | None = None
    detail: str | None = None
    """Text for the caller: ours, fixed, about the caller's own request."""
    queued: float = 0.0
    ran: float = 0.0
    cold: bool = False
    output: Sequence[tuple[float, str, bytes]] = ()
    output_dropped: int = 0
    output_lines: int = 0
    """Lines that were recorded while it ran, beside those in `output`."""
    status: int | None = None
    """HTTP status where the outcome alone does not tell."""
    retry_after: int | None = None
    """Seconds."""
    frames: tuple[Frame, ...] = ()
    """What the function asked for, and was answered."""
    frames_left_out: int = 0
    held: bytes = b""
    """What the function's own frames held when it raised, by name and kind."""
    values: bytes = b""
    """The same with values, not masked yet."""
    used_secret: bool = False
    """True if the function was given a secret's value: its answer may hold it."""
    own: Sequence[Told] = ()
    """What the handler measured."""
    spans: Sequence[Span] = ()
    """What it used of the platform, the first ones."""
    more_spans: int = 0
    """Uses beyond these."""
    principal: Principal | None = None
    """Who called, where that is known."""
    used: Used | None = None
    """What it used of the CPU and of memory; None where nothing ran."""
    guard_us: int | None = None
    """What its process says the sink guard's hooks took, in microseconds; None: not sampled."""


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """(5) The answer, and for the platform how the invocation ended and under which error id."""

    outcome: Outcome
    response: HttpResponse
    error_id: str = ""
    retry_after: int | None = None
    """Seconds."""
    id: str = ""
    """That of the invocation; empty where there was none."""
    trace: TraceContext | None = None
    """Where what comes of it stands in a trace; None where that follows from its id."""


class RefusedError(CasemateError):
    """The invocation is refused before any code of the function ran."""

    def __init__(
        self,
        outcome: Outcome,
        message: str,
        *,
        status: int | None = None,
        retry_after: int | None = None,
        failure: Failure | None = None,
        principal: Principal | None = None,
        fields: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """`message` is a fixed text for the caller that tells nothing of the inside."""
        super().__init__(message)
        self.outcome = outcome
        self.status = status
        self.retry_after = retry_after
        self.failure = failure
        self.principal = principal
        """Who was refused, where that is known."""
        self.fields = fields
        """Of the answer, beside those that every refusal has."""


def closed() -> RefusedError:
    """Return the refusal of a function in quarantine, which tells nobody that it is."""
    return RefusedError(Outcome.UNAVAILABLE, _NO_CALLS, retry_after=_CLOSED_SECONDS)

"""The guard of one process: knows the event, decides at the sinks, tells the host."""

from __future__ import annotations

import _thread
import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .acts import Acts
from .budget import ExhaustedError
from .constants import Constants
from .known import Again
from .origin import Origin, Span
from .pieces import as_text
from .provenance import Provenance
from .sample import SAMPLE
from .shapes import Shapes
from .spans import together
from .taint import Taint
from .tracing import Tracer
from .verdict import BlockedError, Judge, Verdict

BLOCK, REPORT = "block", "report"
MAX_RECORDS = 50
"""Records sent for one invocation. What comes after is blocked all the same."""
_MAX_FRAMES = 500
_SELF = "the sink guard itself"
_FIX_MUCH = (
    "hand over less at once, or pass values as parameters: what holds no value is not searched"
)


class Rule(NamedTuple):
    """An exception that the manifest records."""

    sink: str
    """Name of a sink, or `*`."""
    location: str
    """`module:line`, `module:qualified.name` or `*`."""
    mode: str
    """`block` or `report`."""


class Place(NamedTuple):
    """Where in the function's own code a sink was reached."""

    file: str
    line: int
    module: str
    qualname: str

    @property
    def text(self) -> str:
        """As in records: `app.py:12`."""
        return f"{self.file}:{self.line}"

    @property
    def location(self) -> str:
        """As in an exception, as narrow as can be without breaking at every edit."""
        return f"{self.module}:{self.qualname}"


class Guard:
    """One for each process; made before the fork, used in the instance."""

    def __init__(self, root: str = "/function/code", rules: Sequence[Rule] = ()) -> None:
        """`root` is the folder of the function's own code."""
        self.root = root.rstrip("/") + "/"
        self.files: dict[str, str] = {}
        """Names of its own modules' files, each as the very object that their code has."""
        self.rules = tuple(rules)
        self.constants = Constants()
        self.provenance = Provenance()
        self.provenance.root = self.root
        self.constants.literals = self.provenance.literals
        self.constants.forms = self.provenance.forms
        self.raised = self.provenance.raised
        self.raised.root, self.raised.is_of_event = self.root, self._is_of_event
        """The exceptions that the function's code meets."""
        self.report: Callable[[dict[str, Any]], None] | None = None
        """Takes each record to the host, at once."""
        self.blocked: str | None = None
        """What was blocked in this invocation first, for its outcome."""
        self.records = 0
        self.begun: dict[bool, str] = {}
        """What a line begins with that is not ended yet: of standard error (True) and output."""
        self.answering: Place | None = None
        """The handler, while its answer is judged: none of its code runs then."""
        self.shapes = Shapes()
        self.acts = Acts(self.root)
        self.watched = False
        """Whether audit events are watched already."""
        self._running = False
        self._given: list[tuple[str, object, str, Again | None]] = []
        """Sources that nothing has asked about: most calls end before anything does."""
        self._taint: Taint | None = None
        self._tracer: Tracer | None = None
        self._turn = _thread.RLock()
        """Held while the two are made, and when a source comes: threads have to see the same."""
        self._deciding: set[int] = set()

    # -- invocations ---------------------------------------------------------------------------

    def begin(self, event: object, source: str = "event", again: Again | None = None) -> None:
        """An invocation begins; `event` is decoded JSON. Costs next to nothing.

        The handler may take the event apart before the first question (`event.pop("name")`).
        `again` makes one that is equal to what it was; without it `remember` has to be called.
        """
        self.blocked = None
        self.records = 0
        self.shapes.begin()
        self.acts.begin()
        if self._deciding:
            self._deciding.clear()
        if self.begun:
            self.begun.clear()
        self._taint = self._tracer = None
        self._given = [(source, event, "", again)]
        self._running = True
        self.provenance.begin()

    def add(
        self, source: str, value: object, pointer: str = "", again: Again | None = None
    ) -> None:
        """Data with an origin outside came in while the invocation runs, such as a table's item.

        It is as with an event: what code takes out of it before a question is known by `again`.
        """
        if self._running:
            with self._turn:
                if self._taint is not None:
                    self._taint.add(source, value, pointer, again)
                else:
                    self._given.append((source, value, pointer, again))

    def remember(self) -> None:
        """Know all there is of the sources now, before code can change them."""
        taint = self.taint
        if taint is not None:
            taint.remember()

    def end(self) -> None:
        """The invocation is over: forget its data."""
        self._running = False
        self._given = []
        self._taint = self._tracer = None
        self.provenance.end()

    @property
    def taint(self) -> Taint | None:
        """What is known of the invocation's sources; None while there is no invocation."""
        if self._taint is None and self._running:
            self._look()
        return self._taint

    def _look(self) -> None:
        """Make what answers about the sources: a call that asks nothing does without."""
        with self._turn:
            if self._taint is not None or not self._running:
                return
            taint = Taint(self.constants.holds_word, self.constants.words_among)
            for given in self._given:
                taint.add(*given)
            self._given = []
            constants = self.constants
            held = (constants.holds, constants.standing_in, constants.numbers)
            self._tracer = Tracer(taint, self.provenance, *held)
            self._taint = taint  # last: who sees it finds the other as well

    @property
    def active(self) -> bool:
        """True while an invocation runs and this thread is not inside a check already."""
        return self._running and _thread.get_ident() not in self._deciding

    @property
    def deciding(self) -> bool:
        """True while this thread is inside a check."""
        return _thread.get_ident() in self._deciding

    # -- for sinks -----------------------------------------------------------------------------

    def check(self, sink: str, value: str | bytes, judge: Judge) -> None:
        """Block the call (BlockedError) if `judge` finds that outside data changed `value`."""
        timed = SAMPLE.running and SAMPLE.enter()
        try:
            if self.active and not self.is_own(value):
                self.decide(sink, lambda: self._judged(value, judge))
        finally:
            if timed:
                SAMPLE.leave()

    def is_own(self, value: str | bytes) -> bool:
        """Tell whether a text is one of the code as it is written: most statements are, always."""
        if type(value) is not str or not self.constants.holds(value):
            return False
        # An equal text can have been put together from the event's, so the object counts.
        if self.constants.is_literal(value):
            return True
        return not self.provenance.has(value)

    def _judged(self, value: str | bytes, judge: Judge) -> Verdict | None:
        spans = self.spans(value)
        return judge(as_text(value), spans) if spans else None

    def decide(self, sink: str, question: Callable[[], Verdict | None]) -> None:
        """Block the call (BlockedError) if `question` returns a verdict, or fails.

        For sinks that take more than one text. What it does itself is not checked.
        """
        if not self.active:
            return
        timed = SAMPLE.running and SAMPLE.enter()
        thread = _thread.get_ident()
        # By thread: a check opens files and compiles expressions itself, which must not be checked,
        # but what another thread does meanwhile must.
        self._deciding.add(thread)
        try:
            try:
                verdict = question()
            except Exception as error:  # noqa: BLE001 - a check that fails must not let through
                verdict = failed(error)
            if verdict is not None:
                self._act(sink, verdict)
        finally:
            self._deciding.discard(thread)
            if timed:
                SAMPLE.leave()

    def fail(self, sink: str, error: Exception) -> None:
        """Block the call (BlockedError): the check of it failed."""
        self.decide(sink, lambda: failed(error))

    def meets(self, sink: str, shape: str) -> None:
        """Note the shape of what was put together for a sink and passed the check.

        Raises BlockedError for one that is not usual, where those are refused.
        """
        if self.active and not self.shapes.admits(sink, shape):
            place = self.place()
            where = place.text if place is not None else "code of a dependency"
            text = (
                f"{sink} at {where}: nothing of this shape is usual of the function. If it is to "
                "be, have it learned: casemate baseline reset"
            )
            if self.blocked is None:
                self.blocked = text
            raise BlockedError(text)

    def spans(self, value: str | bytes) -> list[Span]:
        """Return the parts of `as_text(value)` that came from outside."""
        tracer = self._traced()
        return together(tracer.spans(value)) if tracer is not None else []

    def _traced(self) -> Tracer | None:
        if self._tracer is None and self._running:
            self._look()
        return self._tracer

    def texts(self, text: str) -> list[Span]:
        """Return where in a text whole texts of the event are; `exact` if one is all of it."""
        taint = self.taint
        if taint is None or not text:
            return []
        origin = taint.exact(text)
        if origin is not None:
            return [Span(0, len(text), origin, exact=True)]
        return taint.search(text)

    def readable(self, text: str) -> list[Span]:
        """Return where in a text those of the event are, whole or in pieces that have signs."""
        pieces = self.taint.fragments(text) if self.taint is not None and text else []
        return [*self.texts(text), *pieces]

    def whole(self, value: object) -> Origin | None:
        """Return where a value is from if all of it is from outside: a text, a list or a dict."""
        tracer = self._traced()
        return tracer.whole(value) if tracer is not None else None

    def _is_of_event(self, text: str) -> bool:
        """Tell whether a text is the event's, be it one of the code's as well."""
        if not self._running:
            return False
        found = self.texts(text)
        return any(s.exact and s.end - s.start == len(text) for s in found) or (
            self.whole(text) is not None
        )

    def check_of(self, text: str) -> str:
        """Return how the function's code checked a text, as in `Span.checked`."""
        tracer = self._traced()
        return tracer.check_of(text) if tracer is not None else ""

    def found_number(self, number: int) -> bool:
        """Tell whether the code found a number in a collection that the event did not bring."""
        tracer, known = self._traced(), self.provenance.numbers
        return (
            tracer is not None
            and number in known
            and tracer.membership.numbers_vouch(known[number])
        )

    def is_made_of_event(self, value: object) -> bool:
        """Tell whether a text is the event's very object, or was seen being made of one."""
        tracer = self._traced()
        return tracer is not None and tracer.membership.is_made_of_event(value)

    def key(self, name: str) -> Origin | None:
        """Return where the key of an object is from, if an event's object has it."""
        return self.taint.key(name) if self.taint is not None else None

    # -- verdicts ------------------------------------------------------------------------------

    def _act(self, sink: str, verdict: Verdict) -> None:
        place = self.place()
        mode = self._mode(sink, place)
        where = place.text if place is not None else "code of a dependency"
        self.records += 1
        location = place.location if place is not None else "*"
        exception = f'sink = "{sink}", location = "{location}", reason = "..."'
        text = (
            f"{sink} at {where}: {verdict.origin.text} {verdict.changed}. Fix: {verdict.fix}. If "
            f"this is a false alarm, write in casemate.toml, below the function: {exception}"
        )
        # The first is what the outcome tells: what comes after is mostly how the code handles it.
        if mode == BLOCK and self.blocked is None:
            self.blocked = text
        if self.records <= MAX_RECORDS and self.report is not None:
            self._tell(
                {
                    "sink": sink,
                    "mode": mode,
                    "place": where,
                    "location": location,
                    "source": verdict.origin.source,
                    "pointer": verdict.origin.pointer,
                    "decoding": list(verdict.origin.decoding),
                    "changed": verdict.changed,
                    "fix": verdict.fix,
                }
            )
        if mode == BLOCK:
            raise BlockedError(text)

    def _tell(self, record: dict[str, Any]) -> None:
        # A host that cannot be told must not keep the call from being stopped.
        with contextlib.suppress(Exception):
            if self.report is not None:
                self.report(record)

    def _mode(self, sink: str, place: Place | None) -> str:
        for rule in self.rules:
            if rule.sink in (sink, "*") and _matches(rule.location, place):
                return rule.mode
        return BLOCK

    def place(self) -> Place | None:
        """Return the innermost line of the function's own code that led here."""
        frame = sys._getframe(1)
        for _ in range(_MAX_FRAMES):
            code = frame.f_code
            if code.co_filename.startswith(self.root):
                file = code.co_filename[len(self.root) :]
                module = str(frame.f_globals.get("__name__", ""))
                return Place(file, frame.f_lineno, module, code.co_qualname)
            if frame.f_back is None:
                return self.answering
            frame = frame.f_back
        return None


def place_of(handler: object) -> Place | None:
    """Return where a handler is defined; None if that cannot be told."""
    function = inspect.unwrap(handler) if callable(handler) else handler
    code = getattr(function, "__code__", None)
    if code is None:  # an object that can be called
        code = getattr(vars(type(function)).get("__call__"), "__code__", None)
    module = getattr(function, "__module__", "")
    if code is None:
        return None
    file = os.path.basename(code.co_filename)
    return Place(file, code.co_firstlineno, str(module), code.co_qualname)


def _matches(location: str, place: Place | None) -> bool:
    if location == "*":
        return True
    if place is None:
        return False
    module, _, where = location.partition(":")
    return module == place.module and where in (str(place.line), place.qualname)


def failed(error: Exception) -> Verdict:
    """Return the verdict of a check that could not be made. Its text could hold data: no word."""
    if isinstance(error, ExhaustedError):
        return Verdict(
            Origin(_SELF, ""), "stopped: this is more than it looks at for one call", _FIX_MUCH
        )
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code if trace is not None else None
    where = f" in {code.co_name} of {os.path.basename(code.co_filename)}" if code else ""
    return Verdict(
        Origin(_SELF, ""),
        f"could not be checked ({type(error).__name__}{where})",
        "report this as a fault of the guard; the exception lets the call through meanwhile",
    )

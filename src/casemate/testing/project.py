"""A project for tests of its handlers: contexts and events as a node gives them."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any, cast

import msgspec

from casemate.admission.routes import Match, Route, Routes
from casemate.invocation.rendering import rendered
from casemate.manifest import load
from casemate.model.deployment import Version
from casemate.model.errors import NotFoundError
from casemate.model.function import DestinationKind, FunctionSpec
from casemate.model.granted import CompiledGrants
from casemate.model.http import HttpHead, HttpRequest
from casemate.model.trigger import AnyTrigger, ResultTrigger
from casemate.runner import event as runner_event
from casemate.runner.channel import Channel
from casemate.runner.context import Context, Log
from casemate.runner.event import Event
from casemate.runner.measures import Measures
from casemate.runner.trace import Trace
from casemate.testing.channel import FakeChannel, Fakes, Handler
from casemate.testing.memory import MemoryBucket, MemoryMessages, MemoryTable
from casemate.triggers.http_event import http_event
from casemate.triggers.samples import sample_event


class TestProject:
    """The functions of a manifest, with their resources in memory."""

    __test__ = False
    """Not a class of tests, whatever its name begins with."""

    def __init__(self, manifest: str | Path = "casemate.toml") -> None:
        """Read the manifest. Raises ManifestError."""
        self._project = load(Path(manifest))
        resources = self._project.resources
        self.buckets = {one.name: MemoryBucket(one.name) for one in resources.buckets}
        self.tables = {one.name: MemoryTable(one) for one in resources.tables}
        self.queues = {one.name: MemoryMessages(one.name) for one in resources.queues}
        self.topics = {one.name: MemoryMessages(one.name) for one in resources.topics}
        self.lines: list[tuple[str, str]] = []
        """What `context.log` wrote: level and text."""
        self._made: dict[str, Event] = {}
        self._fakes = Fakes(
            buckets=self.buckets, tables=self.tables, queues=self.queues, topics=self.topics
        )

    def environment(self, function: str) -> dict[str, str]:
        """Return the variables that the manifest declares for a function, for `os.environ`."""
        return dict(self._spec(function).environment)

    def set_secret(self, name: str, value: str | bytes) -> None:
        """Set a secret's value: the first is version 1, the next one version 2."""
        kept = value.encode() if isinstance(value, str) else value
        self._fakes.secrets.setdefault(name, []).append(kept)

    def answer(self, function: str, handler: Handler) -> None:
        """Have `context.invoke(function, event)` return what `handler(event)` does."""
        self._fakes.functions[function] = handler

    def context(self, function: str, event: Event | None = None) -> Context:
        """Return the context of an invocation: what the function is granted, and no more.

        `context.event` is `event`; without one it is what `event`, `request`, `given_up` or
        `direct_call` made last for this function. Where nothing was made, its `data` raises
        LookupError.
        """
        spec = self._spec(function)
        if event is None:
            event = self._made.get(function)  # an empty one is false
        if event is None:
            event = self._no_event(function)
        identity = f"inv_{secrets.token_hex(12)}"
        channel = FakeChannel(
            self._fakes, CompiledGrants(spec.grants), self._project.name, function
        )
        return Context(
            event=event,
            request_id=identity,
            deadline=time.time() + spec.limits.timeout,
            project=self._project.name,
            function_name=function,
            function_version="1",
            memory_limit=spec.limits.memory,
            log=Log(lambda level, text: self.lines.append((level, text))),
            channel=cast(Channel, channel),
            measures=Measures(),
            trace=Trace(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"),
        )

    def event(self, function: str, trigger: str, data: object = msgspec.UNSET) -> Any:
        """Return a sample event of a trigger, as the handler is handed it; `data` as of
        `casemate trigger fire`. Several of a trigger with a batch come as its one event."""
        spec = self._spec(function)
        declared = spec.trigger(trigger)
        if declared is None:
            raise NotFoundError(f"{function} has no trigger {trigger}.")
        return self._sample(spec, spec, declared, data)

    def given_up(self, function: str) -> Any:
        """Return a sample of the event that the function is handed which `on_failure` of another
        one, `function`, names first."""
        spec = self._spec(function)
        named = [d.name for d in spec.delivery.on_failure if d.kind is DestinationKind.FUNCTION]
        if not named:
            raise NotFoundError(f"on_failure of {function} names no function.")
        told = ResultTrigger(name="", function=function, on=("failure",))
        return self._sample(spec, self._spec(named[0]), told, msgspec.UNSET)

    def direct_call(self, function: str, payload: Any) -> Any:
        """Return what a handler is handed for `casemate invoke FUNCTION` with a payload."""
        self._spec(function)
        return self._handed(function, runner_event.PLAIN, payload)

    def _handed(self, function: str, shape: str, value: Any) -> Any:
        """Return what a handler is handed, and keep its event for the next context."""
        handed, self._made[function] = runner_event.read(shape, value, self._origin(function))
        return handed

    def _no_event(self, function: str) -> Event:
        """Return the event of a context for which none was made."""

        def refuse() -> Any:
            raise LookupError(
                f'No event was made for this context: give it one, project.context("{function}", '
                f'event), or make one first, such as project.request("{function}", ...).'
            )

        return Event({}, self._origin(function), refuse)

    def _sample(self, of: FunctionSpec, to: FunctionSpec, trigger: AnyTrigger, data: object) -> Any:
        """Return a sample event of a trigger in the form in which a function is handed it."""
        sample = sample_event(
            self._version(of), trigger, time.time(), resources=self._project.resources, data=data
        )
        batch = getattr(trigger, "batch", 1) > 1
        shape, body = rendered((sample,), to.event_format, sample.id, batch=batch)
        return self._handed(to.name, shape, msgspec.json.decode(body))

    def request(
        self,
        function: str,
        method: str,
        path: str,
        *,
        route: str | None = None,
        path_parameters: dict[str, str] | None = None,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: bytes | str | dict[str, Any] | list[Any] = b"",
    ) -> Event:
        """Return the event of a request to a route, as a handler of Casemate's format gets it.

        A query may follow the path behind `?`. A `body` that is a dict or a list is sent as JSON.
        The route is the one of the manifest that the node would choose, unless `route` names one.
        """
        path, _, after = path.partition("?")
        if route is None:
            found = self._match(self._spec(function), method, path)
            route, matched = found.route.template, found.parameters
            path_parameters = matched if path_parameters is None else path_parameters
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if isinstance(body, dict | list):
            body = msgspec.json.encode(body)
            sent.setdefault("content-type", "application/json")
        content = body.encode() if isinstance(body, str) else body
        given = tuple((name.encode(), value.encode()) for name, value in sent.items())
        head = HttpHead(
            method=method, path=path, query=query or after, headers=given, peer="127.0.0.1"
        )
        keys = {
            **http_event(HttpRequest(head, content), route, path_parameters or {}),
            "id": f"inv_{secrets.token_hex(12)}",
            "source": f"/projects/{self._project.name}/functions/{function}",
            "type": "casemate.http.request",
            "time": time.time(),
        }
        return cast(Event, self._handed(function, runner_event.HTTP, keys))

    def _match(self, spec: FunctionSpec, method: str, path: str) -> Match:
        """Return which of a function's routes takes a request. Raises NotFoundError."""
        routes = Routes()
        for trigger in spec.http:
            routes.add(Route(trigger.method, trigger.path, self._project.name, spec.name))
        # As on a node, HEAD is answered where GET is.
        for asked in ("HEAD", "GET") if method == "HEAD" else (method,):
            found = routes.match(asked, path)
            if isinstance(found, Match):
                return found
        has = ", ".join(f"{route.method} {route.template}" for route in routes.all) or "no route"
        raise NotFoundError(f"No route of {spec.name} takes {method} {path}; it has {has}.")

    def _spec(self, function: str) -> FunctionSpec:
        spec = self._project.function(function)
        if spec is None:
            names = ", ".join(one.name for one in self._project.functions)
            raise NotFoundError(f"The manifest has no function {function}; it has {names}.")
        return spec

    def _version(self, spec: FunctionSpec) -> Version:
        return Version(
            project=self._project.name,
            function=spec.name,
            number=1,
            digest="0" * 64,
            spec=spec,
            created_at=time.time(),
            created_by="user:test",
        )

    def _origin(self, function: str) -> runner_event.Origin:
        head = {"id": f"inv_{secrets.token_hex(12)}", "at": time.time()}
        return runner_event.Origin(head, self._project.name, function)

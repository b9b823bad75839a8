"""The `context` argument of a handler."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from . import capabilities
from .capabilities import Queue, Table, Topic
from .channel import Channel, InvalidError
from .event import Event
from .measures import Measures
from .objects import Bucket
from .trace import Trace


class Log:
    """Writes lines with a level and fields; they reach `casemate logs` with the invocation's id."""

    __slots__ = ("_emit",)

    def __init__(self, emit: Callable[[str, str], None]) -> None:
        """Send lines through `emit(level, text)`."""
        self._emit = emit

    def _write(self, level: str, message: object, fields: dict[str, object]) -> None:
        text = str(message)
        if fields:
            text += " " + json.dumps(fields, default=str, ensure_ascii=False)
        self._emit(level, text)

    def debug(self, message: object, **fields: object) -> None:
        """Log at level debug."""
        self._write("debug", message, fields)

    def info(self, message: object, **fields: object) -> None:
        """Log at level info."""
        self._write("info", message, fields)

    def warning(self, message: object, **fields: object) -> None:
        """Log at level warning."""
        self._write("warning", message, fields)

    def error(self, message: object, **fields: object) -> None:
        """Log at level error."""
        self._write("error", message, fields)


class Context:
    """What a handler may know of its invocation. Times are seconds, sizes bytes.

    `event` is what is handled, with its attributes, even if the handler's first argument is a plain
    value or in the shape of AWS. What begins with `aws_`, `invoked_` and `log_`, as well as
    `memory_limit_in_mb` and `get_remaining_time_in_millis()`, is there so that handlers written
    for AWS Lambda find it.
    """

    __slots__ = (
        "_channel",
        "_measures",
        "deadline",
        "event",
        "function_name",
        "function_version",
        "log",
        "memory_limit",
        "project",
        "request_id",
        "trace",
    )

    def __init__(
        self,
        *,
        event: Event,
        request_id: str,
        deadline: float,
        project: str,
        function_name: str,
        function_version: str,
        memory_limit: int,
        log: Log,
        channel: Channel,
        measures: Measures,
        trace: Trace,
    ) -> None:
        """Keep the given values."""
        self._channel = channel
        self._measures = measures
        self.trace = trace
        self.event = event
        self.request_id = request_id
        self.deadline = deadline
        self.project = project
        self.function_name = function_name
        self.function_version = function_version
        self.memory_limit = memory_limit
        self.log = log

    def remaining(self) -> float:
        """Return the seconds left until the invocation is ended."""
        return max(0.0, self.deadline - time.time())

    def metric(self, name: str, value: float, unit: str | None = None) -> None:
        """Measure something of the function's own: `context.metric("orders", 3)`.

        Told with the answer: count, sum, least and greatest of each name are in `casemate metrics`
        and at `/metrics`. Raises ValueError beyond 32 names, and for what is no finite number.
        """
        self._measures.add(name, value, unit)

    def bucket(self, name: str) -> Bucket:
        """Return a bucket of the project. Each use of it must be granted."""
        return Bucket(self._channel, name)

    def table(self, name: str) -> Table:
        """Return a table of the project."""
        return Table(self._channel, name)

    def queue(self, name: str) -> Queue:
        """Return a queue of the project."""
        return Queue(self._channel, name)

    def topic(self, name: str) -> Topic:
        """Return a topic of the project."""
        return Topic(self._channel, name)

    def secret(self, name: str, *, version: int | None = None) -> str:
        """Return a secret's newest value, or that of a version. It is asked for each time."""
        try:
            return capabilities.read_secret(self._channel, name, version).decode()
        except UnicodeDecodeError:
            # Without the cause: it would hold the value.
            raise InvalidError(
                f"the secret {name} is no text; read it with context.secret_bytes"
            ) from None

    def secret_bytes(self, name: str, *, version: int | None = None) -> bytes:
        """Return a secret's value as it was set, for values that are no text."""
        return capabilities.read_secret(self._channel, name, version)

    def invoke(
        self,
        function: str,
        event: object = None,
        *,
        allow: list[str] | None = None,
        wait: bool = True,
    ) -> Any:
        """Invoke another function of the project and return its result (InvocationError).

        With `wait=False` the event is kept, and the function is invoked with it afterwards, again
        if it fails: what is returned is the id of that invocation.

        `allow` narrows what it may use, and what is invoked from there, to less than it is
        granted: entries such as `bucket uploads read,list thumbs/` (kind, name, actions, prefix).
        """
        return capabilities.invoke(self._channel, function, event, allow, wait)

    def identity_token(self, audience: str) -> str:
        """Return a signed token (JWT) of five minutes that tells `audience` who this function is.

        It is verified with the keys at the node's `/.well-known/jwks.json`.
        """
        fields, _, _ = self._channel.call("identity.token", audience=audience)
        token: str = fields["token"]
        return token

    @property
    def aws_request_id(self) -> str:
        """The invocation's id."""
        return self.request_id

    @property
    def invoked_function_arn(self) -> str:
        """A name of the function in the form of AWS; it leads nowhere."""
        return f"arn:aws:lambda:local:000000000000:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """Project and function in the form of a group of logs."""
        return f"/casemate/{self.project}/{self.function_name}"

    @property
    def log_stream_name(self) -> str:
        """The version in the form of a stream of logs."""
        return f"[{self.function_version}]"

    @property
    def memory_limit_in_mb(self) -> int:
        """The memory limit in MiB."""
        return self.memory_limit // (1024 * 1024)

    def get_remaining_time_in_millis(self) -> int:
        """Return `remaining()` in milliseconds."""
        return int(self.remaining() * 1000)

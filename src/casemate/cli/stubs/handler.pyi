"""What a handler gets of Casemate, as types. Written by `casemate stubs`; changes are lost.

Nothing runs from here: on a node `from casemate import Context` finds the real one. Those that are
marked `type_check_only` cannot be imported there. They are named for annotations alone.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, type_check_only

class CapabilityError(Exception):
    """A use of a bucket, table, queue, secret or function did not succeed."""

class DeniedError(CapabilityError):
    """The function is not granted this, or a policy forbids it."""

class NotFoundError(CapabilityError):
    """There is no such object, item, secret or function."""

class ConflictError(CapabilityError):
    """A condition such as `if_revision` does not hold."""

class InvalidError(CapabilityError):
    """The request is not valid."""

class LimitError(CapabilityError):
    """A limit on size or number is reached."""

class UnavailableError(CapabilityError):
    """The service cannot do this at the moment; the same call can succeed later."""

class InvocationError(CapabilityError):
    """The function that was invoked did not succeed. `status` is as an HTTP caller would see it."""

    status: int
    error_id: str | None
    def __init__(self, message: str, status: int, error_id: str | None) -> None:
        """Keep the status and the id under which the owner finds the error."""

class ObjectInfo(NamedTuple):
    """An object without its content. Revisions of a key only count up, over its deletion too."""

    key: str
    revision: int
    size: int
    content_type: str
    metadata: dict[str, str]
    modified_at: float
    sha256: str

@type_check_only
class ObjectReader:
    """Reads an object in pieces, all of one revision. A binary file to read from."""

    info: ObjectInfo
    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, all that is left if negative; empty at the end."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, as files do; return it."""

    def tell(self) -> int:
        """Return the place of the next read."""

    def readable(self) -> bool:
        """Be a file that can be read."""

    def seekable(self) -> bool:
        """Be a file in which one can go back."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    closed: bool
    def __iter__(self) -> Iterator[bytes]:
        """Yield the content in pieces of at most 4 MiB."""

    def __enter__(self) -> ObjectReader:
        """Return itself."""

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

@type_check_only
class ObjectWriter:
    """Writes an object in pieces; it appears whole when the `with` block ends without an error."""

    info: ObjectInfo | None
    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take bytes; they are sent in parts of 4 MiB."""

    def __enter__(self) -> ObjectWriter:
        """Return itself."""

    def __exit__(self, kind: object, *_: object) -> None:
        """Make the object, or forget what was sent if there was an error."""

class Bucket:
    """A bucket of the function's project."""

    name: str
    def get(self, key: str, *, revision: int | None = None) -> bytes:
        """Return an object's content (NotFoundError if there is none)."""

    def head(self, key: str, *, revision: int | None = None) -> ObjectInfo:
        """Return what is known of an object without reading it."""

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""

    def open(self, key: str, *, revision: int | None = None) -> ObjectReader:
        """Return a file to read a large object from, piece by piece."""

    def put(
        self,
        key: str,
        content: bytes | str,
        *,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
        if_revision: int | None = None,
    ) -> ObjectInfo:
        """Write an object. `if_revision=0`: only if there is none; n: only if that is present."""

    def create(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
        if_revision: int | None = None,
    ) -> ObjectWriter:
        """Return a file to write a large object to, to be used with `with`."""

    def delete(self, key: str, *, if_revision: int | None = None) -> None:
        """Delete an object; one that is not there is fine without a condition."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix`, in the order of their bytes."""

class Item(NamedTuple):
    """A table's item: its attributes, and the revision that `if_revision` compares with."""

    value: dict[str, Any]
    revision: int
    modified_at: float

class Table:
    """A table of the function's project."""

    name: str
    def get(self, key: str | float, sort: str | float | None = None) -> Item:
        """Return an item (NotFoundError if there is none)."""

    def put(self, value: dict[str, Any], *, if_revision: int | None = None) -> Item:
        """Write an item whole. `if_revision=0`: only if there is none; n: only if present."""

    def delete(
        self, key: str | float, sort: str | float | None = None, *, if_revision: int | None = None
    ) -> None:
        """Delete an item; one that is not there is fine without a condition."""

    def query(
        self,
        key: str | float | None = None,
        *,
        index: str | None = None,
        equals: str | float | None = None,
        begins_with: str | None = None,
        at_least: str | float | None = None,
        less_than: str | float | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """Yield the items with a key, by the sort attribute; without a key, all of the table.

        An iterator, which fetches as it is gone through: `list(...)` has a length and an index.
        """

class Queue:
    """A queue of the function's project."""

    name: str
    def send(
        self,
        message: object,
        *,
        delay: float = 0.0,
        deduplication: str | None = None,
        key: str = "",
        priority: int = 0,
        attributes: dict[str, str] | None = None,
    ) -> str:
        """Keep a message (JSON) and return its id; it is durable then.

        `delay` is seconds. The same `deduplication` text within an hour keeps the first only.
        Messages with the same `key` are handed out one after the other, in order; of those that
        are ready, a higher `priority` (-100 to 100) goes first. `attributes` are texts by name
        beside the message, at most 10 and 4 KiB: `event.detail["attributes"]` of who handles it.
        """

class Topic:
    """A topic of the function's project."""

    name: str
    def publish(
        self,
        message: object,
        *,
        deduplication: str | None = None,
        attributes: dict[str, str] | None = None,
    ) -> str:
        """Keep a message (JSON) for everyone who subscribes, and return its id.

        `attributes` as of `Queue.send`.
        """

@type_check_only
class Log:
    """Writes lines with a level and fields; they reach `casemate logs` with the invocation's id."""

    def debug(self, message: object, **fields: object) -> None:
        """Log at level debug."""

    def info(self, message: object, **fields: object) -> None:
        """Log at level info."""

    def warning(self, message: object, **fields: object) -> None:
        """Log at level warning."""

    def error(self, message: object, **fields: object) -> None:
        """Log at level error."""

class Event(dict[str, Any]):
    """What happened. As a dict it has what its source sends; see docs/reference/events.md."""

    records: list[Event]
    """The events of a batch; an event that comes alone is its own only record."""

    @property
    def id(self) -> str:
        """Unique among the events of its source; the same when it is handed over again."""

    @property
    def source(self) -> str:
        """Where it happened, a URI reference such as `/projects/shop/buckets/uploads`."""

    @property
    def type(self) -> str:
        """What happened, such as `casemate.bucket.created`."""

    @property
    def time(self) -> float:
        """When it happened, as Unix time in seconds."""

    @property
    def subject(self) -> str:
        """What of the source it is about, such as an object's key; often empty."""

    @property
    def detail(self) -> dict[str, Any]:
        """What only this kind of source has, such as a bucket's name, key and revision."""

    @property
    def data(self) -> Any:
        """The payload: of a request its body, of a batch the list of payloads."""

@type_check_only
class Trace:
    """Its ids. To go on in the trace elsewhere, send `traceparent` along as a header."""

    traceparent: str
    tracestate: str
    @property
    def trace_id(self) -> str:
        """The trace, 32 hexadecimal digits."""

    @property
    def span_id(self) -> str:
        """The invocation's own span in it, 16 hexadecimal digits."""

class Context:
    """What a handler may know of its invocation. Times are seconds, sizes bytes.

    `event` is what is handled, with its attributes, even if the handler's first argument is a plain
    value or in the shape of AWS. What begins with `aws_`, `invoked_` and `log_`, as well as
    `memory_limit_in_mb` and `get_remaining_time_in_millis()`, is there so that handlers written
    for AWS Lambda find it.
    """

    event: Event

    request_id: str
    deadline: float
    project: str
    function_name: str
    function_version: str
    memory_limit: int
    log: Log
    trace: Trace
    def remaining(self) -> float:
        """Return the seconds left until the invocation is ended."""

    def metric(self, name: str, value: float, unit: str | None = None) -> None:
        """Measure something of the function's own: `context.metric("orders", 3)`.

        Told with the answer: count, sum, least and greatest of each name are in `casemate metrics`
        and at `/metrics`. Raises ValueError beyond 32 names, and for what is no finite number.
        """

    def bucket(self, name: str) -> Bucket:
        """Return a bucket of the project. Each use of it must be granted."""

    def table(self, name: str) -> Table:
        """Return a table of the project."""

    def queue(self, name: str) -> Queue:
        """Return a queue of the project."""

    def topic(self, name: str) -> Topic:
        """Return a topic of the project."""

    def secret(self, name: str, *, version: int | None = None) -> str:
        """Return a secret's newest value, or that of a version. It is asked for each time."""

    def secret_bytes(self, name: str, *, version: int | None = None) -> bytes:
        """Return a secret's value as it was set, for values that are no text."""

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

    def identity_token(self, audience: str) -> str:
        """Return a signed token (JWT) of five minutes that tells `audience` who this function is.

        It is verified with the keys at the node's `/.well-known/jwks.json`.
        """

    @property
    def aws_request_id(self) -> str:
        """The invocation's id."""

    @property
    def invoked_function_arn(self) -> str:
        """A name of the function in the form of AWS; it leads nowhere."""

    @property
    def log_group_name(self) -> str:
        """Project and function in the form of a group of logs."""

    @property
    def log_stream_name(self) -> str:
        """The version in the form of a stream of logs."""

    @property
    def memory_limit_in_mb(self) -> int:
        """The memory limit in MiB."""

    def get_remaining_time_in_millis(self) -> int:
        """Return `remaining()` in milliseconds."""

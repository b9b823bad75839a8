"""The client of a node's HTTP interface: every failure becomes an error with a next step."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar, cast

import httpx2
import msgspec

from casemate import __version__
from casemate.cli.authority import client_context
from casemate.cli.credentials import Credentials, choose, is_loopback_url, require_safe_transport
from casemate.cli.errors import (
    CommandError,
    DeniedError,
    FunctionStartError,
    MissingError,
    NotUnderstoodError,
    UnreachableError,
    UsageError,
)
from casemate.cli.field_types import require_within
from casemate.cli.text import seconds
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.http_deadline import UNPACKED, ProgressDeadline, is_packed
from casemate.model.principal import NODE
from casemate.operations.declaration import JSON, Operation
from casemate.operations.form import form_of

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
GRACE_SECONDS = 60.0
"""How long the body of an answer that is held as a whole may take, and a second more for each
SLOWEST_BYTES of it that have come."""
SLOWEST_BYTES = 8 * 1024
MAX_PROBLEM_BYTES = 1024 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
"""Longest line of an answer that comes line by line; a node's are far shorter."""

MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""Of an answer that is held as a whole; a node's largest are functions' and lists'."""

_CUT_SHORT = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
"""What happens to a request that was sent, or begun to be."""

PREFIX = "/api/v1"
UNKNOWN_PARAMETERS = "The query has unknown parameters: "
"""How a node refuses what only later releases take."""
NAMES = "Check what was named; `casemate ls` lists the functions that you may see."
"""What to do about something that there is not, where the node does not say."""

T = TypeVar("T")


class _Failure(msgspec.Struct):
    type: str = ""
    message: str = ""
    trace: str = ""


class _Problem(msgspec.Struct):
    """What we read of a problem detail (RFC 9457); members we do not know are ignored."""

    title: str = ""
    detail: str = ""
    error_id: str = ""
    next_step: str | None = None
    failure: _Failure | None = None


_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that say whose certificates are believed in place of the host's."""


def _believed(credentials: Credentials) -> ssl.SSLContext | bool:
    """Return whose certificates are believed; True stands for those that the host believes.

    A node on this machine may speak plain HTTP, without a proxy and without redirects: nothing is
    TLS then, and to read the host's certificates would take most of what a client takes. Nobody is
    believed, should there be TLS all the same.
    """
    if credentials.ca:
        return client_context(credentials.ca)
    if not is_loopback_url(credentials.url):
        return True
    if credentials.url.startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if any(os.environ.get(name) for name in _AUTHORITIES):
        # The environment's proxies have no business with this machine's own addresses; these have.
        return httpx2.create_ssl_context(trust_env=True)
    return True


class NodeClient:
    """A connection to one node. Redirects are not followed: the key goes nowhere else."""

    def __init__(self, credentials: Credentials) -> None:
        """Prepare to speak to the node; nothing is sent yet."""
        require_safe_transport(credentials)
        self.credentials = credentials
        self._http = httpx2.Client(
            base_url=credentials.url,
            follow_redirects=False,
            verify=_believed(credentials),
            # A proxy from the environment has no business with this machine's own addresses.
            trust_env=not is_loopback_url(credentials.url),
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            headers=dict(UNPACKED),
        )
        self.progress = ProgressDeadline(ANSWER_SECONDS)
        """By which whatever is read of an answer is read."""

    @property
    def url(self) -> str:
        """Address of the node."""
        return self.credentials.url

    def __enter__(self) -> NodeClient:
        """Return the client; leaving closes its connections."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, operation: Operation[T], *, seconds: float = ANSWER_SECONDS, **rest: Any) -> T:
        """Have the node do an operation, and return its answer. `rest` is as `request` has it."""
        return self.answer(operation, self.request(operation, seconds=seconds, **rest))

    def request(
        self,
        operation: Operation[Any],
        *,
        seconds: float = ANSWER_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        **rest: Any,
    ) -> httpx2.Response:
        """Ask the node for an operation, and return whatever it answers.

        Raises UsageError for what is not text: the shell hands on any bytes.
        """
        try:
            return self._request(operation, httpx2.Timeout(seconds, connect=connect_seconds), rest)
        except UnicodeEncodeError:
            # Not the cause of it: that holds the text, which may be a password.
            raise UsageError(
                "An argument is not valid UTF-8 text.",
                next_step="Run the command in a UTF-8 locale.",
            ) from None

    def _request(
        self, operation: Operation[Any], timeout: httpx2.Timeout, rest: dict[str, Any]
    ) -> httpx2.Response:
        form = form_of(type(operation))
        require_within(form, operation)
        if (body := form.json(operation)) is not None:
            rest = {"content": msgspec.json.encode(body), "headers": {"content-type": JSON}}
        return self.exchange(
            form.method,
            PREFIX + form.target(operation),
            params=form.query(operation),
            timeout=timeout,
            **rest,
        )

    def answer(self, operation: Operation[T], response: httpx2.Response) -> T:
        """Return what an operation is answered with; raise the error that a refusal stands for."""
        if not response.is_success:
            raise self.failure(response, operation)
        form = form_of(type(operation))
        answer: Any = None
        if form.answer is bytes:
            answer = response.content
        elif form.line is not None:
            answer = tuple(
                self._decode_line(line, form.line) for line in _lines([response.content])
            )
        elif form.answer is not None:
            answer = self.decode(response, form.answer)
        return cast("T", answer)

    def exchange(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        """Return whatever the node answers, read to its end."""
        headers = {**self._authorization(), **rest.pop("headers", {})}
        timeout = rest.pop("timeout", httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS))
        self.progress.seconds = timeout.read
        request = self._http.build_request(
            method,
            path,
            headers=headers,
            timeout=timeout,
            extensions=self.progress.extensions,
            **rest,
        )
        try:
            response = self._http.send(request, stream=True)
            try:
                read_whole(response, self.progress)
            finally:
                response.close()
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise self._unreachable(error) from error
        return response

    @contextmanager
    def open(self, operation: Operation[Any], *, seconds: float) -> Iterator[httpx2.Response]:
        """Give an answer that is read as it comes. `seconds` is the longest silence."""
        form = form_of(type(operation))
        require_within(form, operation)
        self.progress.seconds = seconds
        try:
            with self._http.stream(
                form.method,
                PREFIX + form.target(operation),
                params=form.query(operation),
                headers=self._authorization(),
                timeout=httpx2.Timeout(seconds, connect=CONNECT_SECONDS),
                extensions=self.progress.extensions,
            ) as response:
                if not response.is_success:
                    read_whole(response, self.progress)
                    raise self.failure(response, operation)
                yield response
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise self._unreachable(error) from error

    @contextmanager
    def stream(
        self, operation: Operation[tuple[T, ...]], *, seconds: float
    ) -> Iterator[Iterator[T | None]]:
        """Give the lines of an answer as they come, None for one that is empty."""
        kind: type[T] = form_of(type(operation)).line
        with self.open(operation, seconds=seconds) as response:
            lines = _lines(_pieces(response, self.progress))
            yield (self._decode_line(line, kind) if line else None for line in lines)

    def _authorization(self) -> dict[str, str]:
        key = self.credentials.key
        return {} if key is None else {"authorization": f"Bearer {key}"}

    def decode(self, response: httpx2.Response, kind: type[T]) -> T:
        """Return a response's JSON as `kind`."""
        try:
            return msgspec.json.decode(response.content, type=decodable(kind))
        except DECODING_ERRORS as error:
            raise CommandError(
                f"{self.url} sent an answer that this command does not understand: {error}",
                next_step="Compare `casemate --version` with the node's, "
                f"{self.url}/api/v1/health, and check that it is a Casemate node.",
            ) from error

    def _decode_line(self, line: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(line, type=decodable(kind))
        except DECODING_ERRORS as error:
            raise CommandError(
                f"The node sent a line that this command does not understand: {error}",
                next_step="Compare `casemate --version` with the version of the node.",
            ) from error

    def failure(
        self, response: httpx2.Response, operation: Operation[Any] | None = None
    ) -> CommandError:
        """Return the error that a response stands for, of the operation that was asked for."""
        problem = read_problem(response)
        what = problem.detail or (f"{problem.title}." if problem.title else "")
        what = what or (
            f"{self.url} answered {response.status_code} without saying why, as no Casemate node "
            "does: something in front of it may have answered."
        )
        status = response.status_code
        if status in (401, 403):
            return self._denied(status, what, problem.next_step, operation)
        if problem.failure is not None:
            return FunctionStartError(
                what,
                type=problem.failure.type,
                failure=problem.failure.message,
                trace=problem.failure.trace,
                next_step=problem.next_step,
            )
        if status == 404:
            return MissingError(what, next_step=problem.next_step or NAMES)
        if status >= 500 and problem.error_id:
            what += f" (error id {problem.error_id})"
        if status == 400 and UNKNOWN_PARAMETERS in what:
            # Of what `casemate` sends no node of its own release, or a later one, says so.
            return CommandError(
                what,
                next_step=f"The node is of an earlier release than this casemate {__version__}; "
                f"{self.url}/api/v1/health says of which. Upgrade the node, or use the casemate of "
                "its release.",
            )
        kind = NotUnderstoodError if status in (400, 422) else CommandError
        return kind(what, next_step=problem.next_step or _next_step(response))

    def _denied(
        self, status: int, what: str, said: str | None, operation: Operation[Any] | None
    ) -> DeniedError:
        """Return the error of a refusal; `said` is what the node says to do about it."""
        if self.credentials.key is None:
            what = f"{self.url} needs a token, and none is stored for it."
        next_step = f"Run `casemate login {self.url}`, or set CASEMATE_KEY."
        if status == 403:
            next_step = said or (
                "`casemate whoami` shows your roles; ask an owner for one that allows it. If they "
                "do, `casemate denials` says what forbids it."
            )
            if operation is not None and (narrower := _narrower(operation)):
                next_step = f"{narrower}: a role of one project shows that one alone. {next_step}"
        return DeniedError(what, next_step=next_step)

    def _unreachable(self, error: Exception) -> UnreachableError:
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx2.TimeoutException) or self.progress.passed:
            reason = "it took too long"
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return UnreachableError(
                f"The certificate of {self.url} is not trusted: {reason}",
                next_step=_trusted_by(self.url, reason),
            )
        if isinstance(error, _CUT_SHORT):
            return UnreachableError(
                f"{self.url} ended before it had answered: {reason.rstrip('.')}.",
                next_step="What it was to change may be changed: look at that, and run this again. "
                "If the node ended, its own log says why.",
            )
        return UnreachableError(
            f"{self.url} does not answer: {reason}.",
            next_step="Start a node with `casemate serve`, or name another one with "
            "`casemate login` or CASEMATE_URL.",
        )


def _trusted_by(url: str, reason: str) -> str:
    """Return what makes a certificate trusted that was refused for a reason of OpenSSL's."""
    if "has expired" in reason or "not yet valid" in reason:
        return "Ask the operator of the node to renew it, and check the clock of this machine."
    if "mismatch" in reason or "not valid for" in reason:
        return (
            "Use a name that the certificate is for. Whoever runs the node adds one with "
            "`casemate serve --tls-name NAME`, or has it put into a certificate of their own."
        )
    return (
        f"If it is the node's own, run `casemate login {url} --ca-fingerprint SHA256` with the "
        "fingerprint that `casemate serve` shows. If an authority of yours has signed it, have "
        "this machine trust that (update-ca-certificates), or name its certificate: "
        "SSL_CERT_FILE=ca.pem"
    )


def read_whole(
    response: httpx2.Response, progress: ProgressDeadline, most: int = MAX_ANSWER_BYTES
) -> bytes:
    """Read an answer of at most `most` bytes to its end, and return them.

    Raises CommandError, httpx2.ReadTimeout for one that comes too slowly to be meant.
    """
    # As `Response.read` does it, which reads for as long as somebody sends.
    content = bytearray()
    began = time.monotonic()
    for piece in _pieces(response, progress):
        content += piece
        if time.monotonic() - began > GRACE_SECONDS + len(content) / SLOWEST_BYTES:
            raise httpx2.ReadTimeout("too slow", request=response.request)
        if len(content) > most:
            raise CommandError(
                f"The node sent an answer of more than {most} bytes.",
                next_step="Ask for less, or check that it is a Casemate node.",
            )
    response._content = bytes(content)
    return response.content


def _pieces(response: httpx2.Response, progress: ProgressDeadline) -> Iterator[bytes]:
    """Give the body of an answer as it comes. Raises httpx2.DecodingError for a packed one."""
    if is_packed(response.headers):
        raise httpx2.DecodingError("the answer is packed", request=response.request)
    return progress.pieces(response.iter_bytes())


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that pieces make up. What is cut off at the end is none.

    Only a line feed ends one: the text of a line may hold what else separates lines elsewhere.
    """
    line = bytearray()
    for piece in pieces:
        first, *others = piece.split(b"\n")
        line += first
        for other in others:
            yield bytes(line)
            line = bytearray(other)
        if len(line) > MAX_LINE_BYTES:
            raise CommandError(
                f"The node sent a line of more than {MAX_LINE_BYTES} bytes.",
                next_step="Check that it is a Casemate node.",
            )


def read_problem(response: httpx2.Response) -> _Problem:
    """Return what a refusal says; of what is no problem document, nothing."""
    if response.headers.get("content-type", "").partition(";")[0] != "application/problem+json":
        return _Problem()
    try:
        return msgspec.json.decode(response.content[:MAX_PROBLEM_BYTES], type=decodable(_Problem))
    except DECODING_ERRORS:
        return _Problem()


def _narrower(operation: Operation[Any]) -> str:
    """Return how what was asked of the whole node is asked of a project; empty: it cannot be."""
    from casemate.cli.operation_parameters import is_argument  # imports this package's face

    fields = {field.name: field for field in msgspec.structs.fields(type(operation))}
    if "project" not in fields or getattr(operation, "project", None) is not None:
        return ""
    if operation.declared.on({"project": "any"}.get) == NODE:
        return ""
    if "function" in fields:
        return "Name a function, or --project PROJECT"
    if is_argument(fields["project"]):
        return "Name a project, as PROJECT after the command"
    return "Give --project PROJECT"


def when_again(response: httpx2.Response) -> str:
    """Return when to try again, as the answer says it; a second or two is a moment."""
    told = response.headers.get("retry-after", "")
    wait = int(told) if told.isascii() and told.isdigit() and len(told) < 9 else 0
    return f"Try again after {seconds(wait)}" if wait > 2 else "Try again in a moment"


def _next_step(response: httpx2.Response) -> str:
    status = response.status_code
    if status in (429, 503):
        return f"{when_again(response)}."
    if status >= 500:
        return "See the node's own log."
    if 300 <= status < 400:
        return "Use the address of the node itself: redirects are not followed."
    return "Correct what the message names; `--help` of the command says what it takes."


def connect() -> NodeClient:
    """Return a client for the chosen node."""
    return NodeClient(choose())

"""The client of a node's HTTP interface: every failure becomes an error with a next step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from casemate.cli.authority import client_context
from casemate.cli.credentials import Credentials, choose, is_loopback, require_safe_transport
from casemate.cli.errors import (
    CommandError,
    DeniedError,
    FunctionStartError,
    MissingError,
    UnreachableError,
)

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
MAX_PROBLEM_BYTES = 1024 * 1024

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


def path_of(*parts: str) -> str:
    """Return a path of the control API from its parts, each percent-encoded."""
    return "/api/v1/" + "/".join(quote(part, safe="") for part in parts)


class NodeClient:
    """A connection to one node. Redirects are not followed: the key goes nowhere else."""

    def __init__(self, credentials: Credentials) -> None:
        """Prepare to speak to the node; nothing is sent yet."""
        require_safe_transport(credentials)
        self.credentials = credentials
        self._http = httpx2.Client(
            base_url=credentials.url,
            follow_redirects=False,
            verify=client_context(credentials.ca) if credentials.ca else True,
            # A proxy from the environment has no business with this machine's own addresses.
            trust_env=not is_loopback(credentials.url),
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        )

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

    def get(self, path: str, kind: type[T], *, query: Mapping[str, Any] | None = None) -> T:
        """Return what is at `path` as `kind`. Parameters that are None are left out."""
        params = {name: value for name, value in (query or {}).items() if value is not None}
        return self.decode(self.ask("GET", path, params=params), kind)

    def send(
        self, method: str, path: str, kind: type[T], body: Any, *, seconds: float = ANSWER_SECONDS
    ) -> T:
        """Send a JSON body and return the answer as `kind`."""
        response = self.ask(
            method,
            path,
            content=msgspec.json.encode(body),
            headers={"content-type": "application/json"},
            timeout=httpx2.Timeout(seconds, connect=CONNECT_SECONDS),
        )
        return self.decode(response, kind)

    def ask(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        """Return a response that is a success; raise the error that any other stands for."""
        response = self.exchange(method, path, **rest)
        if not response.is_success:
            raise self.failure(response)
        return response

    def exchange(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        """Return whatever the node answers, read to its end."""
        headers = {**self._authorization(), **rest.pop("headers", {})}
        try:
            return self._http.request(method, path, headers=headers, **rest)
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise self._unreachable(error) from error

    @contextmanager
    def stream(self, path: str, *, query: Mapping[str, Any], seconds: float) -> Iterator[Any]:
        """Give the lines of a response as they come. `seconds` is the longest silence."""
        params = {name: value for name, value in query.items() if value is not None}
        timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
        try:
            with self._http.stream(
                "GET", path, params=params, headers=self._authorization(), timeout=timeout
            ) as response:
                if not response.is_success:
                    response.read()
                    raise self.failure(response)
                yield response.iter_lines()
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise self._unreachable(error) from error

    def _authorization(self) -> dict[str, str]:
        key = self.credentials.key
        return {} if key is None else {"authorization": f"Bearer {key}"}

    def decode(self, response: httpx2.Response, kind: type[T]) -> T:
        """Return a response's JSON as `kind`."""
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CommandError(
                f"{self.url} answered what is not understood here: {error}",
                next_step="Compare `casemate --version` with the node's, "
                f"{self.url}/api/v1/health, and check that it is a Casemate node.",
            ) from error

    def failure(self, response: httpx2.Response) -> CommandError:
        """Return the error that a response stands for."""
        problem = _read_problem(response)
        what = problem.detail or (f"{problem.title}." if problem.title else "")
        what = what or (
            f"{self.url} answered {response.status_code} without saying why, as no Casemate node "
            "does: something in front of it may have answered."
        )
        status = response.status_code
        if status in (401, 403):
            return self._denied(status, what)
        if problem.failure is not None:
            return FunctionStartError(
                what,
                type=problem.failure.type,
                failure=problem.failure.message,
                trace=problem.failure.trace,
                next_step=problem.next_step,
            )
        if status == 404:
            return MissingError(what, next_step=problem.next_step or "`casemate ls` lists them.")
        if status >= 500 and problem.error_id:
            what += f" (error id {problem.error_id})"
        return CommandError(what, next_step=problem.next_step or _next_step(status))

    def _denied(self, status: int, what: str) -> DeniedError:
        if self.credentials.key is None:
            what = f"{self.url} needs a token, and there is none for it."
        next_step = f"Run `casemate login {self.url}`, or set CASEMATE_KEY."
        if status == 403:
            next_step = "`casemate whoami` shows your roles; ask an owner for one that allows it."
        return DeniedError(what, next_step=next_step)

    def _unreachable(self, error: Exception) -> UnreachableError:
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx2.TimeoutException):
            reason = "it took too long"
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return UnreachableError(
                f"The certificate of {self.url} is not trusted: {reason}",
                next_step=f"If it is the node's own, run `casemate login {self.url} "
                "--ca-fingerprint SHA256` with the fingerprint that `casemate serve` shows.",
            )
        return UnreachableError(
            f"{self.url} does not answer: {reason}.",
            next_step="Start a node with `casemate serve`, or name another one with "
            "`casemate login` or CASEMATE_URL.",
        )


def _read_problem(response: httpx2.Response) -> _Problem:
    if response.headers.get("content-type", "").partition(";")[0] != "application/problem+json":
        return _Problem()
    try:
        return msgspec.json.decode(response.content[:MAX_PROBLEM_BYTES], type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Problem()


def _next_step(status: int) -> str:
    if status in (429, 503):
        return "Try again in a moment."
    if status >= 500:
        return "Look into the node's own log."
    if 300 <= status < 400:
        return "Use the address of the node itself: redirects are not followed."
    return "Correct what the message names; `--help` of the command says what it takes."


def connect() -> NodeClient:
    """Return a client for the chosen node."""
    return NodeClient(choose())

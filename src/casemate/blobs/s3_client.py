"""Requests to an S3-compatible store: signed, bounded in bytes and time, repeated where it helps.

All that is asked can be asked twice: names are random and what is under one is written once. So
what is not answered is sent again, a few times within one time limit, and what is answered with a
refusal is not.
"""

from __future__ import annotations

import hashlib
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote

from casemate.blobs.credentials import Credentials
from casemate.blobs.errors import (
    BlobDamagedError,
    BlobsError,
    BlobSizeError,
    BlobsRefusedError,
    BlobsUnreachableError,
)
from casemate.blobs.http_exchange import Answer, Connection
from casemate.blobs.s3_listing import Page, error_code, parse_page
from casemate.blobs.s3_url import S3Url
from casemate.blobs.signature import signed_headers

_MAX_ERROR = 16 * 1024
_MAX_LIST = 8 << 20
"""A page has at most 1,000 keys of at most 1,024 bytes, each byte as three."""
_MAX_IDLE = 8
_TRIED_AGAIN = (429, 500, 502, 503, 504)
_CLOCK = ("RequestTimeTooSkewed", "RequestExpired")
_MAX_SILENT = 2
"""Connections that may be silent: one may have been left over, of a second the store is away."""
_REGION = ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException")


class Limits(NamedTuple):
    """Bounds of one request."""

    request: float = 60.0
    """Seconds for all attempts together."""
    connect: float = 5.0
    attempts: int = 4
    silence: float = 10.0
    """Seconds without a byte, in either direction, after which a connection is given up."""


class S3Client:
    """Speaks to one bucket. Thread-safe."""

    def __init__(
        self,
        url: S3Url,
        credentials: Credentials,
        limits: Limits = Limits(),  # noqa: B008 - it does not change
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect to nothing yet. `tls` says whom to trust; none: whom the system trusts."""
        self.url = url
        self._credentials = credentials
        self._limits = limits
        self._tls = (tls or ssl.create_default_context()) if url.secure else None
        if self._tls is not None:
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()
        self._closed = False
        self._away = False
        """The last request that has ended was not answered."""
        self._asking = False
        """One asks whether it is back."""

    def put(self, key: str, body: bytes, *, only_new: bool = False) -> bool:
        """Write an object. With `only_new` return False if there is one, if the store can tell."""
        headers = {"if-none-match": "*"} if only_new else {}
        answer = self._ask("PUT", key, body=body, headers=headers)
        if only_new and answer.status == 501:  # a store that has no conditions
            answer = self._ask("PUT", key, body=body)
        if only_new and answer.status in (409, 412):
            return False
        self._require(answer, "to write", (200, 201, 204))
        return True

    def get(self, key: str, *, size: int, start: int, length: int) -> bytes:
        """Return `length` bytes, at least one, from `start` of an object of exactly `size` bytes.

        Raises FileNotFoundError, BlobSizeError.
        """
        asked = f"bytes={start}-{start + length - 1}"
        answer = self._ask("GET", key, headers={"range": asked}, most=length)
        if answer.status == 404:
            raise self._missing(answer)
        if answer.status == 416:
            raise BlobSizeError(_total(answer), size)
        self._require(answer, "to read", (206,))
        if (found := _total(answer)) != size:
            raise BlobSizeError(found, size)
        expected = f"bytes {start}-{start + length - 1}/{size}"
        if answer.headers.get("content-range") != expected or len(answer.body) != length:
            raise BlobDamagedError(
                f"The object store at {self.url.authority} answers with another part of a blob, or "
                "with more than was asked for.",
                next_step="Check the store, and any proxy in front of it.",
            )
        return answer.body

    def get_small(self, key: str, most: int) -> bytes | None:
        """Return a whole object of at most `most` bytes; None if there is none."""
        answer = self._ask("GET", key, most=most)
        if answer.status == 404:
            self._missing(answer)
            return None
        self._require(answer, "to read", (200,))
        if len(answer.body) > most:
            raise BlobDamagedError(f"{key} in the object store has more than {most} bytes.")
        return answer.body

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        answer = self._ask("HEAD", key)
        if answer.status == 404:
            return False
        self._require(answer, "to look at", (200,))
        return True

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is fine."""
        answer = self._ask("DELETE", key)
        if answer.status != 404:
            self._require(answer, "to delete", (200, 204))

    def list(self, prefix: str, after: str = "", most: int = 1000) -> tuple[Page, float]:
        """Return a page of the keys below a prefix, and what time it is for the store.

        `after` is the token that the page before has told.
        """
        fields = {
            "encoding-type": "url",
            "list-type": "2",
            "max-keys": str(most),
            "prefix": self.url.prefix + prefix,
        }
        if after:
            fields["continuation-token"] = after
        query = "&".join(f"{name}={quote(fields[name], safe='')}" for name in sorted(fields))
        answer = self._ask("GET", None, query=query, most=_MAX_LIST)
        self._require(answer, "to list", (200,))
        if len(answer.body) > _MAX_LIST:
            raise BlobsUnreachableError(
                f"The object store lists {most} keys in more than {_MAX_LIST} bytes."
            )
        return parse_page(answer.body), _date(answer)

    def close(self) -> None:
        """Close what is idle; what is under way ends as it does."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.close()

    def _ask(
        self,
        method: str,
        key: str | None,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        most: int = 0,
    ) -> Answer:
        """Return what is answered at last. Raises BlobsUnreachableError."""
        with self._turn():
            return self._tried(method, self._path(key), query, headers or {}, body, most)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one request at a time ask a store that was away; the others are told at once."""
        with self._lock:
            asking = self._away
            if asking and self._asking:
                raise BlobsUnreachableError(
                    f"The object store {self.url} was away a moment ago, and is being asked.",
                    next_step="Send the request again in a moment.",
                )
            self._asking |= asking
        away = False
        try:
            yield
        except BlobsUnreachableError:
            away = True
            raise
        finally:
            with self._lock:
                self._away = away
                if asking:
                    self._asking = False

    def _tried(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        most: int,
    ) -> Answer:
        digest = hashlib.sha256(body).hexdigest()
        deadline = time.monotonic() + self._limits.request
        problem, silent = "", 0
        for attempt in range(self._limits.attempts):
            if silent == _MAX_SILENT or (attempt and not self._wait(attempt, deadline)):
                break
            signed = self._signed(method, path, query, headers, digest)
            target = f"{path}?{query}" if query else path
            try:
                connection = self._connection(deadline, fresh=attempt > 0)
                answer = self._once(connection, method, target, signed, body, max(most, _MAX_ERROR))
            except (OSError, BlobsUnreachableError) as error:
                problem = _told(error)
                silent += isinstance(error, TimeoutError)
                continue
            if answer.status not in _TRIED_AGAIN:
                return answer
            problem = f"it answers {answer.status} {error_code(answer.body)}".rstrip()
        raise BlobsUnreachableError(
            f"The object store {self.url} cannot be used at the moment: {problem}.",
            next_step="Look whether it is there, and send the request again.",
        )

    def _once(
        self,
        connection: Connection,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
        most: int,
    ) -> Answer:
        try:
            return connection.exchange(method, target, headers, body, most)
        finally:
            self._release(connection)

    def _connection(self, deadline: float, *, fresh: bool) -> Connection:
        """Return one to use; a `fresh` one where the others may have been left over as well."""
        with self._lock:
            if self._closed:
                raise BlobsUnreachableError("The object store is closed on this node.")
            if self._idle and not fresh:
                connection = self._idle.pop()
                connection.deadline = deadline
                return connection
        url = self.url
        limits = self._limits
        return Connection(url.host, url.port, self._tls, deadline, limits.connect, limits.silence)

    def _release(self, connection: Connection) -> None:
        with self._lock:
            if connection.reusable and not self._closed and len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _wait(self, attempt: int, deadline: float) -> bool:
        pause = 0.1 * 4 ** (attempt - 1) * (0.5 + random.random())  # noqa: S311  # nosec B311
        if time.monotonic() + pause >= deadline:
            return False
        time.sleep(pause)
        return True

    def _path(self, key: str | None) -> str:
        if key is None:
            return self.url.path.rstrip("/") or "/"
        return quote(f"{self.url.path}{self.url.prefix}{key}", safe="/-_.~")

    def _signed(
        self, method: str, path: str, query: str, headers: dict[str, str], digest: str
    ) -> dict[str, str]:
        keys = self._credentials
        sent = {"host": self.url.authority, "accept-encoding": "identity"} | headers
        if keys.session:
            sent["x-amz-security-token"] = keys.session
        return signed_headers(
            method,
            path,
            query,
            sent,
            digest,
            access_key=keys.access_key,
            secret=keys.secret,
            region=self.url.region,
            at=time.time(),
        )

    def _require(self, answer: Answer, doing: str, wanted: tuple[int, ...]) -> None:
        if answer.status in wanted:
            return
        code = error_code(answer.body)
        what = f"The object store {self.url} answers {answer.status} {code}".rstrip()
        if code in _CLOCK:
            raise BlobsRefusedError(
                f"{what}: the clocks of this node and of the store differ too much.",
                next_step="Set the clock of this node by NTP.",
            )
        if code in _REGION:
            raise BlobsRefusedError(
                f"{what}: the bucket is in another region.",
                next_step="Give the bucket's region: s3://BUCKET?region=REGION.",
            )
        if 300 <= answer.status < 400:
            raise BlobsRefusedError(
                f"{what}: it sends elsewhere, which is not followed.",
                next_step="Give the region and the endpoint where the bucket is.",
            )
        if 200 <= answer.status < 300:
            raise BlobsError(
                f"{what} when asked {doing}, expected {wanted[0]}.",
                next_step="Check the endpoint: it, or a proxy in front of it, is not an S3 store.",
            )
        raise BlobsRefusedError(
            f"{what} when asked {doing}.",
            next_step="Check the bucket, its policy, and the access key.",
        )

    def _missing(self, answer: Answer) -> FileNotFoundError:
        """Return the error for an object that is not there. BlobsRefusedError without a bucket."""
        if error_code(answer.body) == "NoSuchBucket":
            self._require(answer, "to read", ())
        return FileNotFoundError(2, "no such blob")


def _told(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, BlobsUnreachableError):
        return error.message.rstrip(".")
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _total(answer: Answer) -> int:
    """Return the size of the object that a range is of; -1 if it does not say."""
    digits = (answer.headers.get("content-range") or "").rpartition("/")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else -1


def _date(answer: Answer) -> float:
    try:
        return parsedate_to_datetime(answer.headers.get("date") or "").timestamp()
    except (TypeError, ValueError, OverflowError) as error:
        raise BlobsUnreachableError("The object store does not tell what time it is.") from error

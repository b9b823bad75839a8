"""Checkpoints as objects of a store that speaks S3: PUT, signed by AWS's Signature Version 4.

One object for each, under a name that follows from what is in it: a store that lets nobody replace
objects (object lock) keeps all that were ever sent.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from urllib.parse import quote

from casemate.blobs.signature import signed_headers
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.exports.collector import Password
from casemate.monitor.http import Request, exchange, host_of
from casemate.monitor.places.note import Note
from casemate.monitor.places.settings import S3Place
from casemate.monitor.reached import parse_url
from casemate.monitor.reaching import Reach

_SUCCESS = (200, 201, 204)


def signed(
    request: Request, *, access_key: str, secret: str, region: str, at: float
) -> Mapping[str, str]:
    """Return the headers with which a request without a query is signed."""
    return signed_headers(
        request.method,
        parse_url(request.url)[2],
        "",
        dict(request.headers) | {"host": host_of(request.url)},
        hashlib.sha256(request.body).hexdigest(),
        access_key=access_key,
        secret=secret,
        region=region,
        at=at,
    )


class S3Objects:
    """Sends to one bucket."""

    def __init__(self, settings: S3Place, reach: Reach, place: int, password: Password) -> None:
        """Connect by `reach`; the secret key comes from `password`."""
        self._settings = settings
        self._reach = reach
        self._place = place
        self._password = password

    async def send(self, note: Note) -> None:
        """Deliver it. Raises UndeliveredError, VaultError, OSError."""
        settings, body = self._settings, note.text.encode()
        name = f"{settings.prefix}{note.size:017d}-{note.id}.checkpoint"
        path = quote(f"{settings.bucket}/{name}", safe="/-_.~")
        request = Request(
            "PUT",
            f"{settings.url.rstrip('/')}/{path}",
            {
                "content-type": "text/plain",
                # Buckets whose objects are locked ask for one.
                "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
            },
            body,
        )
        secret = (await self._password(settings.secret)).strip()
        headers = signed(
            request,
            access_key=settings.access_key,
            secret=secret,
            region=settings.region,
            at=time.time(),
        )
        asked = request._replace(headers=headers)
        answer = await exchange(self._reach, self._place, settings, asked)
        if answer.status not in _SUCCESS:
            raise UndeliveredError(
                f"It answers {answer.status}.",
                next_step="Look at the bucket, the access key and the secret key.",
            )

"""The keys of an S3-compatible store, which do not show themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping

from casemate.model.errors import InvalidInputError

_ACCESS_KEY = re.compile(r"[A-Za-z0-9_-]{3,128}\Z")
_SECRET = re.compile(r"[\x21-\x7e]{3,512}\Z")
_SESSION = re.compile(r"[\x21-\x7e]{0,8192}\Z")


class Credentials:
    """An access key with its secret, and the token of a session where there is one."""

    __slots__ = ("access_key", "secret", "session")

    def __init__(self, access_key: str, secret: str, session: str = "") -> None:
        """Keep them. Raises InvalidInputError, which shows none."""
        for what, pattern, value in (
            ("access key", _ACCESS_KEY, access_key),
            ("secret key", _SECRET, secret),
            ("session token", _SESSION, session),
        ):
            if pattern.match(value) is None:
                raise InvalidInputError(
                    f"The {what} of the object store is not valid: expected printable ASCII, and "
                    "nothing around it.",
                    next_step="Look for a line break or a blank in it.",
                )
        self.access_key = access_key
        self.secret = secret
        self.session = session

    def __repr__(self) -> str:
        """Leave out the secrets."""
        return f"Credentials({self.access_key!r})"


def credentials_of(environment: Mapping[str, str]) -> Credentials:
    """Return the keys that the environment has, under the names that AWS gives them."""
    try:
        access_key = environment["AWS_ACCESS_KEY_ID"]
        secret = environment["AWS_SECRET_ACCESS_KEY"]
    except KeyError as error:
        raise InvalidInputError(
            f"The environment has no {error.args[0]}, which the object store needs.",
            next_step="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        ) from None
    return Credentials(access_key, secret, environment.get("AWS_SESSION_TOKEN", ""))

"""The keys of an S3-compatible store, which do not show themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping

from casemate.model.errors import InvalidInputError

_ACCESS_KEY = re.compile(r"[A-Za-z0-9_-]{3,128}\Z")
_MOST_SECRET = 512
_MOST_SESSION = 8192


class Credentials:
    """An access key with its secret, and the token of a session where there is one."""

    __slots__ = ("access_key", "secret", "session")

    def __init__(self, access_key: str, secret: str, session: str = "") -> None:
        """Keep them. Raises InvalidInputError, which shows none."""
        for what, valid in (
            ("access key", _ACCESS_KEY.match(access_key) is not None),
            ("secret key", _is_printed(secret, 3, _MOST_SECRET)),
            ("session token", _is_printed(session, 0, _MOST_SESSION)),
        ):
            if not valid:
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


def _is_printed(text: str, least: int, most: int) -> bool:
    """Tell whether it can stand in a header: printable ASCII without blanks."""
    if not least <= len(text) <= most:
        return False
    return text.isascii() and text.isprintable() and " " not in text

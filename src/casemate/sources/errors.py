"""Why a source does not bring events at the moment."""

from __future__ import annotations

from casemate.model.errors import UnavailableError


class SourceError(UnavailableError):
    """The server outside does not do what the source needs of it.

    The message is shown to operators and kept; it never holds a password or a message's content.
    """


class SourceProtocolError(SourceError):
    """The server outside does not speak its protocol."""

"""What reading and declaring operations raises."""

from __future__ import annotations

from casemate.model.errors import InvalidInputError


class DeclarationError(TypeError):
    """An operation is declared so that it cannot be derived from, or does not agree with others."""


class MalformedError(InvalidInputError):
    """A path, query or body is not what its operation takes."""

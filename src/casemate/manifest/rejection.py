"""How a check turns down one value, before it is known where in the file the value stands."""

from __future__ import annotations

from casemate.model.errors import InvalidInputError


class RejectedValueError(InvalidInputError):
    """A value of the manifest is not valid."""

    def __init__(self, expected: str, found: str) -> None:
        """Keep both halves of the message: what was expected and what was found."""
        self.expected = expected
        self.found = found
        super().__init__(f"found {found}, expected {expected}")

"""Types of the fields of operations: read strictly, and described, wherever they come from."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from casemate.model.account import BINDING_PATTERN, MAX_BINDINGS
from casemate.model.bundle import DIGEST_PATTERN
from casemate.model.data import MAX_PAGE
from casemate.model.function import NAME_PATTERN
from casemate.operations.given import Given

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""Ids of invocations, errors and keys."""
NUMBER_PATTERN = r"^(?:0|[1-9][0-9]{0,14})$"
"""A number in a path: what is one thing has one path."""
MOMENT_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,9})?$"
"""A Unix time in seconds."""
HIGHEST = 2**53
"""Highest whole number that every reader of JSON keeps exactly (RFC 8259, section 6)."""


def whole(pattern: str) -> str:
    """Return `pattern` so that its `$` is the end for every engine.

    Python's `$` also matches before a trailing line feed, that of JSON Schema (ECMA-262) does not.
    """
    return pattern.removesuffix("$") + r"(?!\n)$"


def text(description: str, *, least: int = 0, most: int = 1024, example: str = "") -> Any:
    """Return the bounds of a text, with what it is for."""
    examples = [example] if example else None
    return Meta(min_length=least, max_length=most, description=description, examples=examples)


def number(description: str, *, least: int = 0, most: int = HIGHEST) -> Any:
    """Return the bounds of a whole number, with what it is for."""
    return Meta(ge=least, le=most, description=description)


Name = Annotated[str, Meta(pattern=whole(NAME_PATTERN), description="A DNS label.")]
OnlyProject = Annotated[Name, Meta(description="Only those of this project."), Given(argument=True)]
OnlyFunction = Annotated[
    Name,
    Meta(description="Only those of this function; needs `project`."),
    Given("Only those of this function."),
]
Digest = Annotated[str, Meta(pattern=whole(DIGEST_PATTERN), description="SHA-256 in hex.")]
Id = Annotated[str, Meta(pattern=whole(ID_PATTERN))]
VersionNumber = Annotated[int, Meta(ge=1, lt=10**15, description="A version's number.")]
Key = Annotated[
    str,
    text("The object's key.", least=1, example="reports/2026-11.csv"),
    Given("The object's key, unchanged: not a path of this machine."),
]
Reason = Annotated[
    str,
    text("The reason, for whoever asks later.", least=1, most=256),
    Given(flags="--reason", metavar="TEXT"),
]
Revision = Annotated[int, number("A revision.")]
IfRevision = Annotated[int, number("Only if this revision is present; 0: only if there is none.")]
Natural = Annotated[int, Meta(ge=0, le=HIGHEST)]
Limit = Annotated[int, number("How many to return.", least=1, most=MAX_PAGE)]
After = Annotated[
    str,
    text("`after` of the page before.", most=4096),
    Given("Continue here; see the end of a list."),
]
Moment = Annotated[
    float, Meta(ge=0, lt=10**12, description="A Unix time in seconds.", examples=[1764201600.0])
]
Attribute = str | int | float
"""Value of a key or sort attribute of a table."""
Roles = Annotated[
    tuple[Annotated[str, Meta(pattern=whole(BINDING_PATTERN), examples=["developer@shop"])], ...],
    Meta(max_length=MAX_BINDINGS, description="Roles, each where it holds."),
    Given(
        "ROLE[@PROJECT[/FUNCTION]], such as developer@shop. Can be given several times.",
        "--role",
        metavar="BINDING",
    ),
]
MAX_SENT = 512 << 10
"""Bytes of the body of a request with an item or a message."""
ShortText = Annotated[str, Meta(max_length=256)]
Metadata = Annotated[dict[ShortText, Annotated[str, Meta(max_length=2048)]], Meta(max_length=32)]
Labels = Annotated[str, Meta(max_length=16 * 1024)]
"""Where what is stored came from, as compact JSON; `casemate.capabilities.labels` reads it."""
Attributes = Annotated[dict[ShortText, Annotated[str, Meta(max_length=4096)]], Meta(max_length=10)]
"""Texts beside a message; `casemate.data.limits.require_attributes` has the rest."""

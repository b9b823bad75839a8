"""What packages of others may not do, the keys under `[function.NAME.packages.PACKAGE]`."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from casemate.guard.acts import EVERY, KINDS
from casemate.manifest.kinds import Choice, Pattern
from casemate.manifest.problem import suggestion
from casemate.manifest.structure import Field, NamedTables, Table, ValueArray
from casemate.manifest.validation import Values
from casemate.model.errors import InvalidInputError
from casemate.model.function import MAX_PACKAGES, PACKAGE_PATTERN, PackageRule

PACKAGE = Table(
    "Package",
    "What a third-party package, or code that it calls, may not do in the function. This stops "
    "packages that do more than their purpose; the sandbox stops those that try to get around it.",
    (
        Field(
            "deny",
            ValueArray(
                Choice(KINDS),
                0,
                len(KINDS),
                'Kinds of actions: "egress" connects, "process" starts programs and forks, "file" '
                "writes files, or reads files other than those of the system and of packages, "
                '"native" loads C libraries, the rest are uses of grants.',
            ),
            "What it may not do. An empty list exempts it from the entry for all others.",
            required=True,
        ),
    ),
)

PACKAGES = Field(
    "packages",
    NamedTables(
        PACKAGE,
        Pattern(
            PACKAGE_PATTERN,
            'the name of a package as indexes have it, in lower case and with -, or "*"',
            100,
        ),
        MAX_PACKAGES,
    ),
    'What packages may not do, by their names; "*" stands for all others.',
)


def packages_of(function: Values) -> tuple[PackageRule, ...]:
    """Return what a function's table denies packages, in the one form that a bundle has."""
    found = function.get("packages")
    rules = []
    for name, table in sorted(found.items()) if isinstance(found, dict) else ():
        deny = table.get("deny") if isinstance(table, dict) else None
        denied = deny if isinstance(deny, list) else []
        rules.append(PackageRule(name=name, deny=tuple(k for k in KINDS if k in denied)))
    return tuple(rules)


def packages_table(rules: Iterable[PackageRule]) -> dict[str, object]:
    """Return rules as a manifest writes them."""
    return {rule.name: {"deny": list(rule.deny)} for rule in rules}


def require_packages(function: str, rules: Iterable[PackageRule], there: Collection[str]) -> None:
    """Raise InvalidInputError for a rule about a package that a function does not have.

    It would hold nowhere, and look as if it did.
    """
    for rule in rules:
        if rule.name != EVERY and rule.name not in there:
            raise InvalidInputError(
                f"[function.{function}.packages.{rule.name}] is about a package that the function "
                f"does not have{suggestion(rule.name, sorted(there))}.",
                next_step="`casemate deps ls` lists its packages; remove the entry, or correct it.",
            )

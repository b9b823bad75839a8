"""The node's rule about licences: kept, and held against what the packages of a bundle state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import InvalidInputError
from casemate.model.licence import LicenceRules, PackageLicence, UnknownLicences
from casemate.model.vulnerability import AdvisoryException, LicenceFinding, Verdict
from casemate.sbom.expressions import canonical, is_allowed, is_one
from casemate.store.errors import StoreError
from casemate.store.interface import Store
from casemate.store.value import KeptValue
from casemate.vulnerabilities.bundle_packages import Packages
from casemate.vulnerabilities.weighing import exception_of, in_words

PREFIX = "licence:"
UNKNOWN = f"{PREFIX}unknown"
_MAX_NAMED = 10
"""Allowed licences that a refusal names; the rest is counted."""


class Licences:
    """The rule of a node. Belongs to one event loop."""

    def __init__(self, store: Store) -> None:
        """Keep it in `store`; there is none before `load`."""
        self._value = KeptValue(store, "licence rules")
        self.rules = LicenceRules()

    async def load(self) -> None:
        """Read it; at any time. Raises StoreError: a rule that cannot be read is not none."""
        stored = await self._value.read()
        if stored is None:
            self.rules = LicenceRules()
            return
        try:
            self.rules = _spelt(msgspec.json.decode(stored, type=decodable(LicenceRules)))
        except (InvalidInputError, *DECODING_ERRORS) as error:
            raise StoreError(
                "Which licences the node allows cannot be read.",
                next_step="Start the Casemate that wrote it, or restore the store.",
            ) from error

    async def set_rules(self, rules: LicenceRules) -> LicenceRules:
        """Keep another rule, spelt as SPDX does. Raises InvalidInputError."""
        spelt = _spelt(rules)
        await self._value.write(msgspec.json.encode(spelt))
        self.rules = spelt
        return spelt


def _spelt(rules: LicenceRules) -> LicenceRules:
    if rules.allowed is None:
        return rules
    allowed = []
    for each in rules.allowed:
        spelt = canonical(each)
        if spelt is None or not is_one(spelt):
            raise InvalidInputError(
                f"{each!r} is not one licence as SPDX names it.",
                next_step="Such as MIT, GPL-2.0-or-later, GPL-3.0-only WITH GCC-exception-3.1 or "
                "LicenseRef-ours; each by itself, without AND and OR.",
            )
        allowed.append(spelt)
    return msgspec.structs.replace(rules, allowed=tuple(sorted(dict.fromkeys(allowed))))


def licence_findings(
    found: Packages, rules: LicenceRules, exceptions: Sequence[AdvisoryException], now: float
) -> tuple[LicenceFinding, ...]:
    """Return what is refused or excepted; `exceptions` are those of the function.

    Packages of which no licences were told are packages whose licence is not known.
    """
    if rules.allowed is None:
        return ()
    stated = _not_told(found) if found.licences is None else found.licences
    findings = []
    for each in stated:
        why = _reason(each, rules, rules.allowed)
        if why:
            findings.append(_weighed(each, why, exceptions, now))
    return tuple(findings)


def _not_told(found: Packages) -> Iterable[PackageLicence]:
    for each in found.packages:
        yield PackageLicence(
            package=each.name, version=each.version, expression="", stated="not told"
        )


def _reason(each: PackageLicence, rules: LicenceRules, allowed: tuple[str, ...]) -> str:
    """Return why it is refused; empty if it is not."""
    if each.expression:
        if is_allowed(each.expression, allowed):
            return ""
        return f"{each.expression} is not among those allowed: {_listed(allowed)}"
    if rules.unknown is UnknownLicences.ALLOWED:
        return ""
    return f"its licence is not known; it states: {each.stated}"


def _listed(allowed: tuple[str, ...]) -> str:
    rest = f" and {len(allowed) - _MAX_NAMED} more" if len(allowed) > _MAX_NAMED else ""
    return f"{', '.join(allowed[:_MAX_NAMED]) or 'none'}{rest}"


def _weighed(
    each: PackageLicence, why: str, exceptions: Sequence[AdvisoryException], now: float
) -> LicenceFinding:
    id = f"{PREFIX}{each.expression}" if each.expression else UNKNOWN
    verdict, exception = Verdict.REFUSED, ""
    known = exception_of(each.package, each.version, {id.upper()}, exceptions, now)
    if known is not None:
        exception = known.id
        verdict = Verdict.EXCEPTED if known.holds(now) else Verdict.REFUSED
        why = f"{why}; {in_words(known, now)}"
    return LicenceFinding(
        package=each.package,
        version=each.version,
        id=id,
        verdict=verdict,
        why=why,
        exception=exception,
    )

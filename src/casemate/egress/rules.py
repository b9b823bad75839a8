"""Which grant allows a destination."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from casemate.egress.errors import ListenerError
from casemate.egress.interface import PROXY_PORT
from casemate.egress.target import Target, TargetError, parse_authority
from casemate.model.grant import Grant, GrantKind

_WILDCARD = "*."


@dataclass(frozen=True, slots=True)
class Rule:
    """A grant, parsed. `target.host` of a wildcard is what follows `*.`."""

    grant: str
    """`Grant.text`."""
    target: Target
    wildcard: bool = False
    private: bool = False
    forward: int | None = None


def parse_rule(grant: Grant) -> Rule:
    """Return a grant as a rule. Raises ListenerError if it is no usable egress grant."""
    wildcard = grant.name.startswith(_WILDCARD)
    try:
        target = parse_authority(grant.name.removeprefix(_WILDCARD))
    except TargetError as error:
        raise ListenerError(f"A grant names no destination: {error.message}") from error
    if grant.kind is not GrantKind.EGRESS or grant.actions != ("connect",):
        raise ListenerError(f"{grant.text!r} is not a grant to connect.")
    if wildcard and (target.address is not None or grant.forward is not None):
        raise ListenerError(f"{grant.text!r}: a wildcard goes with neither address nor forward.")
    if grant.forward is not None and not (
        1 <= grant.forward <= 65535 and grant.forward != PROXY_PORT
    ):
        raise ListenerError(f"{grant.text!r}: {grant.forward} cannot be a forward port.")
    return Rule(grant.text, target, wildcard, grant.private, grant.forward)


class Rules:
    """The egress grants of one function. What none of them names is denied."""

    def __init__(
        self, grants: Iterable[Grant], function: str = "", *, in_tables: bool = False
    ) -> None:
        """Take the grants and, where it is known, the name of the function that has them.

        `in_tables`: its manifest has them as tables. Raises ListenerError if one is not usable or
        two contradict each other.
        """
        self.function = function
        self.in_tables = in_tables
        self._exact: dict[tuple[str, int], Rule] = {}
        self._below: dict[tuple[str, int], Rule] = {}
        self._public: set[str] = set()
        self.forwards: dict[int, Rule] = {}
        for grant in grants:
            rule = parse_rule(grant)
            table = self._below if rule.wildcard else self._exact
            key = (rule.target.host, rule.target.port)
            if key in table:
                raise ListenerError(f"{rule.grant!r} is granted twice.")
            table[key] = rule
            if not (rule.wildcard or rule.private):
                self._public.add(rule.target.host)
            if rule.forward is not None:
                if rule.forward in self.forwards:
                    raise ListenerError(f"Two grants forward port {rule.forward}.")
                self.forwards[rule.forward] = rule

    @property
    def any(self) -> bool:
        """Whether there is a grant."""
        return bool(self._exact or self._below)

    def is_on_another_port(self, target: Target) -> bool:
        """Tell whether a public host is granted by its name, and on other ports alone."""
        return target.address is None and target.host in self._public

    def find(self, target: Target) -> Rule | None:
        """Return the grant for a destination: an exact one, else the longest wildcard.

        `*.example.com` covers names with at least one label more, never example.com itself.
        """
        rule = self._exact.get((target.host, target.port))
        if rule is not None or target.address is not None:
            return rule
        below = target.host
        while below := below.partition(".")[2]:
            rule = self._below.get((below, target.port))
            if rule is not None:
                return rule
        return None

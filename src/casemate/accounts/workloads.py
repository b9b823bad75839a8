"""Sessions of pipelines: an ID token of the CI system is exchanged for a short-lived token.

Nothing is stored at the CI system, so nothing can leak from there. Who may come in is decided by
the claims of an ID token: an issuer signs those of everybody who uses it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from casemate.accounts.bindings import (
    binding_text,
    is_node_owner,
    require_covered,
    require_known_roles,
)
from casemate.accounts.directory import Changes, Directory
from casemate.accounts.errors import IdTokenError, LoginRefusedError
from casemate.accounts.issuing import Issued, issue
from casemate.accounts.login import guarded
from casemate.accounts.oidc import Issuer, KeySource, verified_claims
from casemate.accounts.oidc.id_token import SKEW, candidates, read_header
from casemate.accounts.oidc.settings import MAX_TEXT, require_issuer
from casemate.accounts.refusals import Refusals
from casemate.accounts.throttle import Throttle
from casemate.decoding import decodable
from casemate.model.errors import ConflictError, InvalidInputError, NoNamedError
from casemate.model.facts import Fact, SignedIn
from casemate.model.nodes import MAX_CLOCK_OFF
from casemate.model.principal import Principal, PrincipalKind, RoleBinding
from casemate.model.workload import (
    IDENTIFYING,
    MADE_BY,
    MAX_CLAIMS,
    MAX_MINUTES,
    MAX_WORKLOADS,
    Workload,
)
from casemate.operations.accounts import KeepToken, RevokeTokens, UseOnce
from casemate.operations.node import KeepNodeValue
from casemate.store import UsedBeforeError
from casemate.store.interface import Store
from casemate.store.value import KeptValue

SETTINGS = "accounts/workloads"
"""Name of the node value that holds them."""
TRUST = frozenset({f"value {SETTINGS}"})
MAX_AGE = 2 * 3600.0
"""Seconds since `iat`: a job has its ID token from its start, and deploys at its end."""
_USABLE = MAX_AGE + 2 * SKEW
"""Seconds in which an ID token may be used again at most: it may be issued a little from now."""
MAX_SESSIONS = 200
"""Sessions of one workload in force at once."""
MAX_USED = 65_536
_log = logging.getLogger("casemate.accounts")


def maker(name: str) -> str:
    """Return who has made the tokens of a workload, as text."""
    return MADE_BY + name


class Workloads:
    """Whom of the pipelines the node trusts, and their sessions."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        roles: Callable[[], frozenset[str]],
        attempts: Throttle,
        refusals: Refusals,
        *,
        happened: Callable[[Fact], None],
    ) -> None:
        """Act on these; `roles` gives the roles that exist, `happened` is told who came in."""
        self._value = KeptValue(store, SETTINGS)
        self._directory = directory
        self._roles = roles
        self._attempts = attempts
        self._refusals = refusals
        self._happened = happened
        self._trusted: dict[str, Workload] = {}
        self._issuers: dict[str, KeySource[Issuer]] = {}
        self._used: dict[str, float] = {}
        """Digests of ID tokens that were exchanged, with until when those are valid."""
        self._seen: dict[str, float] = {}
        """When workloads signed in last, by name: their tokens are forgotten once they are over."""

    async def load(self) -> None:
        """Read what is stored; at any time, by who holds the directory's lock and has read it."""
        stored = await self._value.read()
        found = msgspec.json.decode(stored, type=decodable(list[Workload])) if stored else []
        # What is as it was stays the same object: a login that waits sees that nothing changed.
        before = self._trusted
        self._trusted = {
            each.name: before[each.name] if before.get(each.name) == each else each
            for each in found
        }
        for token in self._directory.tokens.values():
            if token.created_by.startswith(MADE_BY):
                self._used[_digest_in(token.name)] = token.created_at + _USABLE
                name = token.created_by.removeprefix(MADE_BY)
                self._seen[name] = max(token.created_at, self._seen.get(name, 0.0))

    def all(self) -> tuple[Workload, ...]:
        """Return every workload that is trusted, by name."""
        # In one go: a listing may be made on another thread while one is removed.
        return tuple(sorted(self._trusted.values(), key=lambda one: one.name))

    def seen_at(self, name: str) -> float | None:
        """Return when a workload signed in last; None if never, as far as tokens are kept."""
        return self.seen().get(name)

    def seen(self) -> dict[str, float]:
        """Return when each workload signed in last; those that never did are left out."""
        return {
            one.name: at
            for one in self._trusted.values()
            if (at := self._seen.get(one.name, 0.0)) >= one.created_at
        }

    async def add(self, workload: Workload, *, by: Principal, made_with: str | None = None) -> None:
        """Trust a workload whose issuer answers, with no more than `by` has.

        `made_with` is the id of the token or session that `by` showed: it has to be in force still
        once the issuer has answered.

        Raises ConflictError, EscalationError, InvalidInputError, OidcSettingsError and
        OidcProviderError.
        """
        _require_valid(workload)
        require_known_roles(workload.bindings, self._roles())
        require_covered(by, workload.bindings, f"trust the workload {workload.name}")
        self._directory.require_no_pipeline(by, f"trust the workload {workload.name}")
        await KeySource(workload.issuer, Issuer, self._directory.clock).discovery()

        def decision() -> tuple[Changes, dict[str, Workload]]:
            self._directory.require_current(by, made_with)
            if workload.name in self._trusted:
                raise ConflictError(
                    f"There is a workload {workload.name!r} already.",
                    next_step=f"`casemate workloads rm {workload.name}` first, or another name.",
                )
            if len(self._trusted) >= MAX_WORKLOADS:
                raise ConflictError(
                    f"There are {MAX_WORKLOADS} workloads already, which is the most.",
                    next_step="`casemate workloads ls` lists them; `rm` those that are not used.",
                )
            trusted = {**self._trusted, workload.name: workload}
            return (_keeping(trusted),), trusted

        self._trusted = await self._directory.decide(decision)
        _log.warning(
            "workload %s of %s trusted by %s: %s",
            workload.name,
            workload.issuer,
            by.text,
            " ".join(map(binding_text, workload.bindings)),
        )

    async def remove(self, name: str, *, by: Principal, made_with: str | None = None) -> int:
        """Trust a workload no more; return how many sessions of it ended.

        What was made with these ends, too. `made_with`: as in `add`.
        """

        def decision() -> tuple[Changes, tuple[dict[str, Workload], int]]:
            self._directory.require_current(by, made_with)
            left = dict(self._trusted)
            if left.pop(name, None) is None:
                raise NoNamedError(
                    "workload",
                    name,
                    f"There is no workload {name!r}.",
                    next_step="`casemate workloads ls` lists them.",
                )
            sessions = self._in_force(name)
            # With all that was made with them.
            lines = (each for session in sessions for each in self._directory.line_of(session))
            ending = RevokeTokens(ids=tuple(dict.fromkeys(lines)))
            return (ending, _keeping(left)), (left, len(sessions))

        self._trusted, ended = await self._directory.decide(decision)
        _log.warning("workload %s no more trusted by %s", name, by.text)
        return ended

    def _in_force(self, name: str) -> tuple[str, ...]:
        now = self._directory.clock()
        return tuple(
            token.id
            for token in self._directory.tokens.values()
            if token.created_by == maker(name)
            and token.revoked_at is None
            and (token.expires_at or 0.0) > now
        )

    async def login(self, name: str, id_token: str, remote: str) -> Issued:
        """Open a session. Raises LoginRefusedError, TooManyAttemptsError, OidcProviderError,
        ConflictError.
        """

        async def proves() -> None:
            await self._verified(name, id_token)
            if _digest_of(id_token) in self._used:
                raise _used_before()

        async with guarded(
            self._attempts, self._refusals, "login of a workload", None, remote, proves=proves
        ) as tried:
            trusted, claims = await self._verified(name, id_token)
            issued = await self._open(trusted, id_token)
            await tried.succeed()
        subject = str(claims.get("sub"))[:255]
        _log.info(
            "workload %s signed in from %s as %r: token %s", name, remote, subject, issued.token.id
        )
        now = self._directory.clock()
        by = f"{PrincipalKind.TOKEN.value}:{issued.token.id}"
        self._happened(SignedIn(at=now, by=by, remote_address=remote, method=maker(name)))
        return issued

    async def _verified(self, name: str, id_token: str) -> tuple[Workload, dict[str, Any]]:
        """Return whom an ID token is about, and its claims. Raises LoginRefusedError."""
        trusted = self._trusted.get(name)
        if trusted is None:
            raise LoginRefusedError(
                "No workload of that name is trusted here.",
                next_step="Have an owner trust one: `casemate workloads add --help` says how.",
            )
        claims = await self._claims(trusted, id_token)
        _require_claims(trusted, claims)
        return trusted, claims

    async def _claims(self, trusted: Workload, id_token: str) -> dict[str, Any]:
        header = read_header(id_token)
        clock = self._directory.clock
        source = self._issuers.get(trusted.issuer)
        if source is None:
            # One for each issuer that is trusted, and no more of those that were.
            issuers = {each.issuer for each in self._trusted.values()}
            self._issuers = {i: s for i, s in self._issuers.items() if i in issuers}
            source = self._issuers[trusted.issuer] = KeySource(trusted.issuer, Issuer, clock)
        keys = await source.keys(knows=lambda known: bool(candidates(header, known)))
        return verified_claims(id_token, keys, trusted.issuer, now=clock(), max_age=MAX_AGE)

    async def _open(self, trusted: Workload, id_token: str) -> Issued:
        digest = _digest_of(id_token)
        used = UseOnce(kind="workload", name=digest, seconds=_USABLE + 2 * MAX_CLOCK_OFF)

        def decision() -> tuple[Changes, Issued]:
            # Trust may have ended, or been given anew with less, while keys were fetched.
            if self._trusted.get(trusted.name) is not trusted:
                raise LoginRefusedError("What the workload may do has just changed.")
            now = self._directory.clock()
            # By whichever workload: who has caught one that was used must find no other door.
            if digest in self._used:
                raise _used_before()
            self._used = {each: until for each, until in self._used.items() if until > now}
            if len(self._used) >= MAX_USED or len(self._in_force(trusted.name)) >= MAX_SESSIONS:
                raise ConflictError(
                    f"The workload {trusted.name} has {MAX_SESSIONS} sessions, which is the most.",
                    next_step="Wait until some end, or revoke them: `casemate tokens ls`.",
                )
            issued = issue(
                name=f"{trusted.name}-{digest}",
                created_by=maker(trusted.name),
                created_at=now,
                expires_at=now + trusted.minutes * 60.0,
                bindings=trusted.bindings,
            )
            return (used, KeepToken(token=issued.token)), issued

        try:
            # That it is used once the store sees to; so logins need not wait for each other.
            issued = await self._directory.decide(decision, TRUST)
        except UsedBeforeError as error:
            raise _used_before() from error
        now = issued.token.created_at
        self._used[digest] = now + _USABLE
        self._seen[trusted.name] = now
        return issued


def _used_before() -> LoginRefusedError:
    return LoginRefusedError(
        "The ID token was used before.", next_step="Ask for a new one: each works once."
    )


def _keeping(trusted: dict[str, Workload]) -> KeepNodeValue:
    return KeepNodeValue(name=SETTINGS, value=msgspec.json.encode(list(trusted.values())))


def _digest_of(id_token: str) -> str:
    # The signature is left out: the same token has more than one that is valid.
    return hashlib.sha256(id_token.rpartition(".")[0].encode()).hexdigest()[:16]


def _digest_in(name: str) -> str:
    """Return the digest of an ID token in the name of the token that it was exchanged for."""
    return name.rpartition("-")[2]


def _require_claims(trusted: Workload, claims: dict[str, Any]) -> None:
    """Raise IdTokenError unless a token is for this workload alone, and about it."""
    if claims.get("aud") not in (trusted.audience, [trusted.audience]):
        raise IdTokenError(
            "The ID token is not for this workload's audience alone.",
            next_step="Ask the CI system for one for the audience that `casemate workloads ls` "
            "shows.",
        )
    for name, values in trusted.claims.items():
        if _text(claims.get(name)) not in values:
            raise IdTokenError(
                f"The claim {name!r} of the ID token is not as it must be for this workload.",
                next_step="`casemate workloads ls` shows an owner what it must be.",
            )


def _text(claim: object) -> str | None:
    """Return a claim as the text it is compared as; None where it can equal nothing."""
    if isinstance(claim, bool):
        return "true" if claim else "false"
    return str(claim) if isinstance(claim, str | int) else None


def _require_valid(workload: Workload) -> None:
    require_issuer(workload.issuer)
    audience = workload.audience
    if not 1 <= len(audience) <= MAX_TEXT or not audience.isprintable():
        raise InvalidInputError(
            f"The audience is {audience[:80]!r}, expected 1 to {MAX_TEXT} printable characters.",
            next_step="Use the node's own address: a token for it is then for no other node.",
        )
    if not set(workload.claims) & set(IDENTIFYING):
        raise InvalidInputError(
            "No claim names the pipeline: everybody at the issuer would be let in.",
            next_step=f"Name one of {', '.join(IDENTIFYING)}: `--claim repository=ORG/NAME`.",
        )
    if len(workload.claims) > MAX_CLAIMS or any(
        "*" in value for values in workload.claims.values() for value in values
    ):
        raise InvalidInputError(
            f"There are {len(workload.claims)} claims, or one with `*`; expected at most "
            f"{MAX_CLAIMS}, each as it is: there are no patterns.",
            next_step="Give a claim several times to allow several values.",
        )
    if not 1 <= workload.minutes <= MAX_MINUTES:
        raise InvalidInputError(
            f"A session would last {workload.minutes} minutes, expected 1 to {MAX_MINUTES}."
        )
    _require_bindings(workload.bindings)


def _require_bindings(bindings: tuple[RoleBinding, ...]) -> None:
    if not bindings:
        raise InvalidInputError(
            "The workload has no role, so it could do nothing.",
            next_step="Name at least one: `--role ROLE[@PROJECT[/FUNCTION]]`.",
        )
    if is_node_owner(bindings):
        raise InvalidInputError(
            "A pipeline cannot own the node: whoever changes the repository would.",
            next_step="Name the projects: `--role developer@PROJECT`.",
        )

"""Those who have rights: people, tokens, third parties and functions, in one form."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from casemate.accounts import Accounts, binding_text
from casemate.model.deployment import LIVE, DeployedFunction, Version
from casemate.model.function import event_grants, named_resources
from casemate.model.principal import RoleBinding
from casemate.model.trigger import OutsideTrigger, RepositoryTrigger
from casemate.model.workload import MADE_BY
from casemate.operations.access import AccessKind

_ORDER = {kind.value: number for number, kind in enumerate(AccessKind)}


def place_of(id: str) -> tuple[int, str]:
    """Return by what those who have rights are in order: kind and id."""
    return _ORDER.get(id.partition(":")[0], len(_ORDER)), id


class Holder(NamedTuple):
    """Somebody, or something, that has rights."""

    kind: AccessKind
    id: str
    name: str
    since: float
    """Unix time since when it has any."""
    bindings: tuple[RoleBinding, ...] = ()
    """Of people and tokens."""
    version: Version | None = None
    """Of functions and what calls them: the version that is live."""
    made_by: str = ""
    """A principal's text."""

    @property
    def fingerprint(self) -> str:
        """Return what tells its rights from others: a review of those is none of these."""
        rights: object = [self.kind, [binding_text(one) for one in self.bindings]]
        if self.version is not None:
            spec = self.version.spec
            rights = [spec.grants, event_grants(spec), spec.public]
            if self.kind is not AccessKind.FUNCTION:
                rights = [self.name, rights]  # where it is: of a third party that is who it is
        elif self.kind is AccessKind.PROVIDER:
            rights = self.name
        return hashlib.sha256(msgspec.json.encode(rights)).hexdigest()[:16]

    @property
    def projects(self) -> frozenset[str]:
        """Names of the projects that its rights are of."""
        if self.version is not None:
            return frozenset((self.version.project,))
        return frozenset(one.project for one in self.bindings if one.project is not None)

    @property
    def is_node_wide(self) -> bool:
        """Tell whether its rights reach all projects."""
        return self.kind is AccessKind.PROVIDER or any(b.project is None for b in self.bindings)


def holders(accounts: Accounts, functions: Iterable[DeployedFunction], now: float) -> list[Holder]:
    """Return all, by kind and id. Sessions are their person's, what is over has no rights."""
    found = [*_people(accounts), *_tokens(accounts, now), *_provider(accounts)]
    found += _workloads(accounts)
    for function in functions:
        version = live_rights(function)
        if version is not None:
            found += _function(version, min(one.created_at for one in function.versions))
    return sorted(found, key=lambda one: place_of(one.id))


def live_rights(function: DeployedFunction) -> Version | None:
    """Return the version that most callers are sent to, None if none is live.

    It has the rights of all that are live: a few callers are enough to use those of another one.
    """
    alias = next((one for one in function.aliases if one.name == LIVE), None)
    weights = {} if alias is None else {one.version: one.weight for one in alias.targets}
    live = [one for one in function.versions if one.number in weights]
    live.sort(key=lambda one: (weights[one.number], one.number), reverse=True)
    if not live:
        return None
    most, *others = live
    grants, triggers = list(most.spec.grants), list(most.spec.triggers)
    for other in others:
        known = (*grants, *event_grants(most.spec))
        grants += [one for one in named_resources(other.spec) if one not in known]
        triggers += [
            one
            for one in other.spec.triggers
            if isinstance(one, OutsideTrigger | RepositoryTrigger) and one not in triggers
        ]
    spec = msgspec.structs.replace(
        most.spec,
        grants=tuple(grants),
        triggers=tuple(triggers),
        public=any(one.spec.public for one in live),
    )
    return msgspec.structs.replace(most, spec=spec)


def _people(accounts: Accounts) -> Iterator[Holder]:
    for user in accounts.people.all():
        bindings = accounts.people.roles_of(user.name)
        if bindings and user.disabled_at is None:
            yield Holder(AccessKind.USER, f"user:{user.name}", user.name, user.created_at, bindings)


def _tokens(accounts: Accounts, now: float) -> Iterator[Holder]:
    for token in accounts.tokens.all():
        ended = token.expires_at is not None and token.expires_at <= now
        # What a pipeline has for minutes is the pipeline's.
        own = token.user is None and not token.created_by.startswith(MADE_BY)
        if own and token.revoked_at is None and not ended:
            yield Holder(
                AccessKind.TOKEN,
                f"token:{token.id}",
                token.name,
                token.created_at,
                token.bindings,
                made_by=token.created_by,
            )


def _workloads(accounts: Accounts) -> Iterator[Holder]:
    for one in accounts.workloads.all():
        yield Holder(
            AccessKind.WORKLOAD,
            f"workload:{one.name}",
            one.issuer,
            one.created_at,
            one.bindings,
            made_by=one.created_by,
        )


def _provider(accounts: Accounts) -> Iterator[Holder]:
    settings = accounts.provider.settings
    if settings is None:
        return
    # When it was set is not kept; people who come by it were added after that.
    came = [user.created_at for user in accounts.people.all() if user.oidc_issuer]
    yield Holder(AccessKind.PROVIDER, "provider:oidc", settings.issuer, min(came, default=0.0))


def _function(version: Version, since: float) -> Iterator[Holder]:
    name, by = f"{version.project}/{version.function}", version.created_by
    yield Holder(AccessKind.FUNCTION, f"function:{name}", name, since, version=version, made_by=by)
    for trigger in version.spec.triggers:
        if isinstance(trigger, OutsideTrigger):
            kind, where = AccessKind.SOURCE, f"{trigger.host}:{trigger.port}"
        elif isinstance(trigger, RepositoryTrigger):
            kind, where = AccessKind.HOOK, trigger.provider
        else:
            continue
        yield Holder(
            kind, f"{kind.value}:{name}/{trigger.name}", where, since, version=version, made_by=by
        )

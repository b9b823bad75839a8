"""A web hook as a live version declares it: which requests it wants, and what it makes of them."""

from __future__ import annotations

import hashlib
import re
from fnmatch import fnmatchcase

import msgspec

from casemate.data.interface import NewMessage
from casemate.model.deployment import Version
from casemate.model.event import MAX_CLOCK_AHEAD, Event
from casemate.model.function import NAME_PATTERN
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.trigger import RepositoryTrigger, S3Trigger, kind_of
from casemate.triggers.hooks.git import Git
from casemate.triggers.hooks.gitea import Gitea
from casemate.triggers.hooks.github import GitHub
from casemate.triggers.hooks.gitlab import GitLab
from casemate.triggers.hooks.interface import Notice, Provider
from casemate.triggers.hooks.s3 import S3

HOOKS_PREFIX = "/hooks/"
Key = tuple[str, str, str]
"""Project, function and name of the trigger."""

_REPOSITORIES: dict[str, Provider] = {
    "github": GitHub(),
    "gitlab": GitLab(),
    "gitea": Gitea(),
    "git": Git(),
}
_STORAGE = S3()
_NAME = re.compile(NAME_PATTERN.removesuffix("$"))
_TRIGGER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def split_hook_path(path: str) -> Key | None:
    """Return project, function and trigger of `/hooks/PROJECT/FUNCTION/NAME`."""
    parts = path[len(HOOKS_PREFIX) :].split("/")
    if len(parts) != 3 or _TRIGGER_NAME.fullmatch(parts[2]) is None:
        return None
    if _NAME.fullmatch(parts[0]) is None or _NAME.fullmatch(parts[1]) is None:
        return None
    return parts[0], parts[1], parts[2]


class Hook(msgspec.Struct, frozen=True):
    """One web hook."""

    key: Key
    trigger: RepositoryTrigger | S3Trigger
    version: Version

    @property
    def provider(self) -> Provider:
        """Who can read its requests."""
        if isinstance(self.trigger, S3Trigger):
            return _STORAGE
        return _REPOSITORIES[self.trigger.provider]

    @property
    def principal(self) -> Principal:
        """Who asks in its requests, once they are proven."""
        return Principal(kind=PrincipalKind.TRIGGER, id="/".join(self.key))

    def wants(self, notice: Notice) -> bool:
        """Tell whether the trigger's filters let a notice through."""
        trigger = self.trigger
        if notice.ping:
            return False
        if isinstance(trigger, S3Trigger):
            if trigger.events and not any(fnmatchcase(notice.event, e) for e in trigger.events):
                return False
            key = notice.subject
            return key.startswith(trigger.prefix) and key.endswith(trigger.suffix)
        if trigger.events and notice.event not in trigger.events:
            return False
        if trigger.branches and notice.branch is not None:
            return any(_matches(notice.branch, pattern) for pattern in trigger.branches)
        return True

    def message(self, notice: Notice, now: float, trace: str = "") -> NewMessage:
        """Return what is kept of a notice. What is told again has the same id and token."""
        name = self.key[2]
        path = f"{HOOKS_PREFIX}{'/'.join(self.key)}"
        token = f"{name} {notice.deduplication}"
        identity = "inv_" + hashlib.sha256(f"{path} {token}".encode()).hexdigest()[:24]
        at = notice.time
        if at is None or not 0.0 <= at <= now + MAX_CLOCK_AHEAD:
            at = now
        event = Event(
            id=str(notice.detail.get("delivery") or identity),
            source=notice.source or path,
            type=self._type(notice),
            time=at,
            kind=kind_of(self.trigger),
            trigger=name,
            subject=notice.subject,
            data=notice.data,
            detail=notice.detail,
            trace=trace,
        )
        return NewMessage(
            body=msgspec.json.encode(event),
            deduplication=token,
            made_after=notice.made_after,
            expires_at=now + self.version.spec.delivery.max_age,
            invocation=identity,
        )

    def _type(self, notice: Notice) -> str:
        if isinstance(self.trigger, S3Trigger):
            return "casemate.s3.message"
        return f"casemate.repository.{notice.event}"


def _matches(branch: str, pattern: str) -> bool:
    """Tell whether a branch is that of a pattern, in which `*` alone is special."""
    first, *others = pattern.split("*")
    if not others:
        return branch == pattern and bool(branch)
    *middle, last = others
    end = len(branch) - len(last)
    if not (branch and branch.startswith(first) and branch.endswith(last)):
        return False
    at = len(first)
    for part in middle:  # where each comes first leaves the most for those after it
        found = branch.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end

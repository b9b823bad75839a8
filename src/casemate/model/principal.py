"""Who asks, for what, on what: the three things every decision is about."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property

import msgspec


class PrincipalKind(StrEnum):
    """Kinds of principals."""

    USER = "user"
    TOKEN = "token"  # noqa: S105
    FUNCTION = "function"
    TRIGGER = "trigger"
    PLAYBOOK = "playbook"
    ANONYMOUS = "anonymous"


OWNER, DEVELOPER, OPERATOR, AUDITOR, INVOKER = (
    "owner",
    "developer",
    "operator",
    "auditor",
    "invoker",
)
BUILT_IN_ROLES = (OWNER, DEVELOPER, OPERATOR, AUDITOR, INVOKER)


class RoleBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A role that a principal has: on the whole node, in one project, or on one function."""

    role: str
    project: str | None = None
    function: str | None = None


class Principal(msgspec.Struct, frozen=True, kw_only=True, dict=True, cache_hash=True):
    """An authenticated principal. Equal ones are decided alike, so they can be a cache's key."""

    kind: PrincipalKind
    id: str
    """Of a user the name, of a token its id, of a function `project/name`, of a trigger
    `project/function/name`, of a playbook its name."""
    bindings: tuple[RoleBinding, ...] = ()
    expires_at: float | None = None
    """Unix time after which the authentication itself does not hold any more."""

    @cached_property
    def text(self) -> str:
        """`kind:id`, as records show it."""
        return f"{self.kind.value}:{self.id}"


ANONYMOUS = Principal(kind=PrincipalKind.ANONYMOUS, id="public")


class Checked(msgspec.Struct, frozen=True):
    """What a check of a credential has found, and at which state of the accounts."""

    principal: Principal | None
    """None if the credential is not valid."""
    revision: int
    at: float
    """Unix time."""


class Action(StrEnum):
    """Everything that can be asked for. The values are the names in policies."""

    NODE_READ = "node:read"
    NODE_BACKUP = "node:backup"
    NODE_AUDIT = "node:audit"
    """See what of the running node is weak."""
    NODE_LIST = "node:list"
    """See the nodes that share the control store."""
    NODE_DRAIN = "node:drain"
    """Have a node take no new calls, or take them again."""
    NODE_PLACE = "node:place"
    """Say in which database a project lives, and move it there."""
    NODE_REMOVE = "node:remove"
    """Forget a node that is gone."""
    ACCESS_READ = "access:read"
    """See who and what has which rights, and when they were looked at."""
    ACCESS_REVIEW = "access:review"
    """Have rights kept, or taken where one may by itself; who did it and why is recorded."""
    METRICS_READ = "metrics:read"
    """See the numbers of the whole node, of all projects, at `/metrics`."""
    FUNCTION_READ = "function:read"
    FUNCTION_INVOKE = "function:invoke"
    ROUTE_WRITE = "route:write"
    """Give paths and host names to projects."""
    FUNCTION_INVOKE_VERSION = "function:invoke-version"
    """Call a version by its number that is not live; `function:invoke` is needed besides."""
    FUNCTION_DEPLOY = "function:deploy"
    SIGNING_WRITE = "signing:write"
    """Say whose signatures a project asks for before a bundle is deployed."""
    FUNCTION_ALIAS = "function:alias"
    """Point aliases, roll back, promote."""
    FUNCTION_REMOVE = "function:remove"
    FUNCTION_QUARANTINE = "function:quarantine"
    "Take a function out of service."
    FUNCTION_RELEASE = "function:release"
    """Let one that is in quarantine take calls again."""
    TRIGGER_FIRE = "trigger:fire"
    "Send a function a sample event, as its trigger would, as if its source had."
    GRANT_READ = "grant:read"
    GRANT_APPROVE = "grant:approve"
    """Let a deploy widen what a function is granted."""
    INVOCATION_READ = "invocation:read"
    INVOCATION_STATUS = "invocation:status"
    """See what became of an asynchronous invocation whose id one knows, and its answer."""
    LOG_READ = "log:read"
    ERROR_READ = "error:read"
    ERROR_SNAPSHOT = "error:snapshot"
    """See what the frames of a handler held when it raised."""
    DENIAL_READ = "denial:read"
    JOURNAL_READ = "journal:read"
    """See everything that happened, who did it and from where."""
    FINDINGS_READ = "findings:read"
    """See what the rules of detection have found, and how channels of alerts are."""
    INCIDENTS_READ = "incidents:read"
    """See incidents: findings that belong together, and what is done about them."""
    INCIDENTS_WRITE = "incidents:write"
    """Assign, note, contain and close incidents; what contains them needs its own right as well."""
    PLAYBOOKS_WRITE = "playbooks:write"
    """Put, remove and pause playbooks, which contain by themselves."""
    ALERTS_WRITE = "alerts:write"
    """Silence alerts of a rule for a time, and send tests."""
    ALERTS_PAGE = "alerts:page"
    """Have people told at once, whatever the hour."""
    BUDGET_WRITE = "budget:write"
    """Set, lift and remove budgets and quotas; on the node: prices."""
    RESTRICTION_WRITE = "restriction:write"
    "Restrict aliases, outside hosts, callers or secrets, and lift that again."
    ADVISORIES_READ = "advisories:read"
    """See how advisories stand, which known holes live, and exceptions."""
    ADVISORIES_WRITE = "advisories:write"
    """Give the node other advisories, and say what is done about known holes."""
    ADVISORIES_EXCEPT = "advisories:except"
    """Let a function be deployed in spite of a known hole, or without advisories."""
    RECORDINGS_READ = "recordings:read"
    """See what went into invocations that were recorded, and came out of them."""
    RECORDINGS_WRITE = "recordings:write"
    """Delete recordings."""
    EVIDENCE_SEAL = "evidence:seal"
    """Have evidence of an incident kept under hold by a playbook, and seen by nobody."""
    DECOYS_READ = "decoys:read"
    """See where decoys are, which whoever touches one must not know."""
    DECOYS_WRITE = "decoys:write"
    """Replace decoys, turn them off and on."""
    SECRET_LIST = "secret:list"  # noqa: S105
    SECRET_WRITE = "secret:write"  # noqa: S105
    """Set a value, make a version, delete. No principal but a function reads a value, of those
    that are not lent."""
    SECRET_LEND = "secret:lend"  # noqa: S105
    """Have the login of a package index for a build, sealed to who builds. No other secret is."""
    SECRET_ROTATE = "secret:rotate"  # noqa: S105
    """Have the node make a new value, or go back to the one before. Nobody chooses or sees it."""
    SECRET_READ = "secret:read"  # noqa: S105
    VAULT_ROTATE = "vault:rotate"
    BUCKET_READ = "bucket:read"
    BUCKET_WRITE = "bucket:write"
    BUCKET_LIST = "bucket:list"
    BUCKET_DELETE = "bucket:delete"
    BUCKET_DROP = "bucket:drop"
    """Delete the whole bucket."""
    TABLE_GET = "table:get"
    TABLE_PUT = "table:put"
    TABLE_QUERY = "table:query"
    TABLE_DELETE = "table:delete"
    TABLE_DROP = "table:drop"
    """Delete the whole table."""
    QUEUE_SEND = "queue:send"
    QUEUE_READ = "queue:read"
    """See how much waits."""
    QUEUE_PURGE = "queue:purge"
    """Delete all that waits."""
    QUEUE_DROP = "queue:drop"
    """Delete the queue or topic with what waits."""
    TOPIC_PUBLISH = "topic:publish"
    DEAD_LETTER_READ = "dead-letter:read"
    """See which events were given up, and why; not what is in them."""
    DEAD_LETTER_CONTENT = "dead-letter:content"
    """See what is in them."""
    DEAD_LETTER_WRITE = "dead-letter:write"
    """Have them tried again, or delete them."""
    EGRESS_CONNECT = "egress:connect"
    ACCOUNT_READ = "account:read"
    ACCOUNT_WRITE = "account:write"
    """Users, their roles, and service tokens of others."""
    TOKEN_WRITE = "token:write"  # noqa: S105
    """Make and revoke service tokens that can do no more than their maker."""
    TOKEN_REVOKE = "token:revoke"  # noqa: S105
    """End tokens and sessions of others, by a playbook; by hand that needs `account:write`."""
    POLICY_READ = "policy:read"
    POLICY_WRITE = "policy:write"


class ResourceKind(StrEnum):
    """Kinds of resources in policies; NODE and PROJECT contain the others."""

    NODE = "node"
    PROJECT = "project"
    FUNCTION = "function"
    BUCKET = "bucket"
    TABLE = "table"
    QUEUE = "queue"
    TOPIC = "topic"
    SECRET = "secret"  # noqa: S105
    HOST = "host"


class Resource(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """What is acted on."""

    kind: ResourceKind
    project: str = ""
    """Empty for the node itself."""
    name: str = ""
    """Empty for the node and for a project."""
    internal: bool = False
    """Functions only: no caller from outside reaches it, whatever its roles."""
    public: bool = False
    """Functions only: callers without credentials may invoke it."""

    @property
    def text(self) -> str:
        """`kind:project/name`, as records and commands show it."""
        if self.kind is ResourceKind.NODE:
            return "node"
        if self.kind is ResourceKind.PROJECT:
            return f"project:{self.project}"
        return f"{self.kind.value}:{self.project}/{self.name}"


NODE = Resource(kind=ResourceKind.NODE)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided and by which policies."""

    allowed: bool
    reasons: tuple[str, ...] = ()
    """Ids of the policies that decided; empty means that none allows it."""
    errors: tuple[str, ...] = ()
    """What went wrong in policies on the way; an error never allows."""

    @property
    def why(self) -> str:
        """Say on one line what decided, as records show it."""
        if self.errors:
            return "a policy failed"
        if not self.reasons:
            return "no policy allows it"
        verb = "allowed" if self.allowed else "forbidden"
        return f"{verb} by {', '.join(self.reasons)}"

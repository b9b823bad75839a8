"""Which action is on which kinds of resources, by which principals, in which groups.

The one table that the published schema, the check of each request and the tests are made from.
"""

from __future__ import annotations

from typing import NamedTuple

from casemate.model.principal import Action, PrincipalKind, ResourceKind

_N, _P, _F = ResourceKind.NODE, ResourceKind.PROJECT, ResourceKind.FUNCTION
_PEOPLE = (PrincipalKind.USER, PrincipalKind.TOKEN)
_FUNCTIONS = (PrincipalKind.FUNCTION,)
_PEOPLE_AND_FUNCTIONS = (*_PEOPLE, *_FUNCTIONS)
_PEOPLE_AND_PLAYBOOKS = (*_PEOPLE, PrincipalKind.PLAYBOOK)
_CALLERS = tuple(kind for kind in PrincipalKind if kind is not PrincipalKind.PLAYBOOK)

READ_RECORDS = "read-records"
READ_DATA = "read-data"
WRITE_DATA = "write-data"
DATA = "data"
CAPABILITY = "capability"
CONTAIN = "contain"

GROUPS: dict[str, str] = {
    READ_RECORDS: "What invocations left behind: records, logs, errors, denials.",
    READ_DATA: "Read the content of buckets and tables.",
    WRITE_DATA: "Change the content of buckets and tables, send to queues and topics.",
    DATA: "Both of the above.",
    CAPABILITY: "All that a function can be granted.",
    CONTAIN: "All that a playbook can do.",
}
"""Groups of actions, for `action in Casemate::Action::"read-records"`."""


class Rule(NamedTuple):
    """What one action can be asked for."""

    resources: tuple[ResourceKind, ...]
    principals: tuple[PrincipalKind, ...] = _PEOPLE
    groups: tuple[str, ...] = ()


_ON_FUNCTION = Rule((_F, _P, _N))
_CONTAINING = Rule((_F, _P, _N), _PEOPLE_AND_PLAYBOOKS, (CONTAIN,))
_ON_RECORDS = Rule((_F, _P, _N), groups=(READ_RECORDS,))
_ON_DEAD_LETTERS = Rule((_F, ResourceKind.QUEUE, _P, _N))
_ON_QUEUES = Rule((ResourceKind.QUEUE, ResourceKind.TOPIC, _P, _N))
_ON_NODE = Rule((_N,))


def _on_data(kind: ResourceKind, group: str) -> Rule:
    return Rule((kind, _P, _N), _PEOPLE_AND_FUNCTIONS, (group, DATA, CAPABILITY))


RULES: dict[Action, Rule] = {
    Action.NODE_READ: _ON_NODE,
    Action.NODE_BACKUP: _ON_NODE,
    Action.NODE_AUDIT: Rule((_P, _N)),
    Action.NODE_LIST: _ON_NODE,
    Action.NODE_DRAIN: _ON_NODE,
    Action.NODE_PLACE: _ON_NODE,
    Action.NODE_REMOVE: _ON_NODE,
    Action.ACCESS_READ: Rule((_P, _N)),
    Action.ACCESS_REVIEW: _ON_NODE,
    Action.METRICS_READ: _ON_NODE,
    Action.FUNCTION_READ: _ON_FUNCTION,
    Action.FUNCTION_INVOKE: Rule((_F,), _CALLERS, (CAPABILITY,)),
    Action.ROUTE_WRITE: _ON_NODE,
    Action.FUNCTION_INVOKE_VERSION: Rule((_F,)),
    Action.FUNCTION_DEPLOY: _ON_FUNCTION,
    Action.SIGNING_WRITE: Rule((_P, _N)),
    Action.FUNCTION_ALIAS: _CONTAINING,
    Action.FUNCTION_REMOVE: _ON_FUNCTION,
    Action.FUNCTION_QUARANTINE: _CONTAINING,
    Action.FUNCTION_RELEASE: _ON_FUNCTION,
    Action.TRIGGER_FIRE: _ON_FUNCTION,
    Action.GRANT_READ: _ON_FUNCTION,
    Action.GRANT_APPROVE: _ON_FUNCTION,
    Action.INVOCATION_READ: _ON_RECORDS,
    Action.INVOCATION_STATUS: _ON_FUNCTION,
    Action.LOG_READ: _ON_RECORDS,
    Action.ERROR_READ: _ON_RECORDS,
    Action.ERROR_SNAPSHOT: _ON_FUNCTION,
    Action.DENIAL_READ: _ON_RECORDS,
    Action.JOURNAL_READ: _ON_FUNCTION,
    Action.FINDINGS_READ: Rule((_P, _N)),
    Action.INCIDENTS_READ: Rule((_P, _N)),
    Action.INCIDENTS_WRITE: _ON_NODE,
    Action.PLAYBOOKS_WRITE: Rule((_P, _N)),
    Action.ALERTS_WRITE: _ON_NODE,
    Action.ALERTS_PAGE: Rule((_N,), _PEOPLE_AND_PLAYBOOKS, (CONTAIN,)),
    Action.BUDGET_WRITE: Rule((_P, _N), _PEOPLE_AND_PLAYBOOKS, (CONTAIN,)),
    Action.RESTRICTION_WRITE: _CONTAINING,
    Action.ADVISORIES_READ: Rule((_P, _N)),
    Action.ADVISORIES_WRITE: _ON_NODE,
    Action.ADVISORIES_EXCEPT: _ON_FUNCTION,
    Action.RECORDINGS_READ: _ON_FUNCTION,
    Action.RECORDINGS_WRITE: _ON_FUNCTION,
    Action.EVIDENCE_SEAL: Rule((_N,), _PEOPLE_AND_PLAYBOOKS, (CONTAIN,)),
    Action.DECOYS_READ: Rule((_P, _N)),
    Action.DECOYS_WRITE: Rule((_P, _N)),
    Action.SECRET_LIST: Rule((ResourceKind.SECRET, _P, _N)),
    Action.SECRET_WRITE: Rule((ResourceKind.SECRET, _P, _N)),
    Action.SECRET_LEND: Rule((ResourceKind.SECRET, _P, _N)),
    Action.SECRET_ROTATE: Rule((ResourceKind.SECRET, _P, _N), _PEOPLE_AND_PLAYBOOKS, (CONTAIN,)),
    Action.SECRET_READ: Rule((ResourceKind.SECRET,), _FUNCTIONS, (CAPABILITY,)),
    Action.VAULT_ROTATE: Rule((_P, _N)),
    Action.BUCKET_READ: _on_data(ResourceKind.BUCKET, READ_DATA),
    Action.BUCKET_WRITE: _on_data(ResourceKind.BUCKET, WRITE_DATA),
    Action.BUCKET_LIST: _on_data(ResourceKind.BUCKET, READ_DATA),
    Action.BUCKET_DELETE: _on_data(ResourceKind.BUCKET, WRITE_DATA),
    Action.BUCKET_DROP: Rule((ResourceKind.BUCKET, _P, _N)),
    Action.TABLE_GET: _on_data(ResourceKind.TABLE, READ_DATA),
    Action.TABLE_PUT: _on_data(ResourceKind.TABLE, WRITE_DATA),
    Action.TABLE_QUERY: _on_data(ResourceKind.TABLE, READ_DATA),
    Action.TABLE_DELETE: _on_data(ResourceKind.TABLE, WRITE_DATA),
    Action.TABLE_DROP: Rule((ResourceKind.TABLE, _P, _N)),
    Action.QUEUE_SEND: _on_data(ResourceKind.QUEUE, WRITE_DATA),
    Action.QUEUE_READ: _ON_QUEUES,
    Action.QUEUE_PURGE: _ON_QUEUES,
    Action.QUEUE_DROP: _ON_QUEUES,
    Action.TOPIC_PUBLISH: _on_data(ResourceKind.TOPIC, WRITE_DATA),
    Action.DEAD_LETTER_READ: _ON_DEAD_LETTERS,
    Action.DEAD_LETTER_CONTENT: _ON_DEAD_LETTERS,
    Action.DEAD_LETTER_WRITE: _ON_DEAD_LETTERS,
    Action.EGRESS_CONNECT: Rule((ResourceKind.HOST,), _FUNCTIONS, (CAPABILITY,)),
    Action.ACCOUNT_READ: _ON_NODE,
    Action.ACCOUNT_WRITE: _ON_NODE,
    Action.TOKEN_WRITE: Rule((_P, _N)),
    Action.TOKEN_REVOKE: Rule((_N,), _PEOPLE_AND_PLAYBOOKS, (CONTAIN,)),
    Action.POLICY_READ: _ON_NODE,
    Action.POLICY_WRITE: _ON_NODE,
}
"""Every action; one that is missing here is denied."""

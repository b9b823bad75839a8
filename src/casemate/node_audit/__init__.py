"""The audit of the node itself: what of it is weak, how weak all of it is, and since when.

    parts of the node ──▶ one frozen state ──▶ rules ──▶ weaknesses ──▶ score

Rules are pure functions over the state. Who gathers it is the gateway; what applications do wrong
is `casemate.audit`'s. May import the port of `store`, `facts`, `operations` and `model`.
"""

from casemate.node_audit.auditing import NodeAudit

__all__ = ["NodeAudit"]

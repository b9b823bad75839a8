"""The audit of the node itself: its weaknesses, their score, and since when they exist.

    parts of the node ──▶ one frozen state ──▶ rules ──▶ weaknesses ──▶ score

Rules are pure functions over the state. The gateway gathers it; weaknesses of applications are
`casemate.audit`'s. May import the port of `store`, `facts`, `operations` and `model`.
"""

from casemate.node_audit.auditing import NodeAudit

__all__ = ["NodeAudit"]

"""What is measured, each behind the same small interface.

Not the measuring itself. May import `bench.client`, `bench.servers`, `bench.processes`,
`bench.environment` and `bench.errors`.
"""

from bench.targets.casemate import ISOLATIONS, CasemateTarget, Node, Plan
from bench.targets.interface import Target
from bench.targets.peers import PEERS, PeerTarget

__all__ = ["ISOLATIONS", "PEERS", "CasemateTarget", "Node", "PeerTarget", "Plan", "Target"]

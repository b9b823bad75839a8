"""The host's side of capabilities: each use by a running function is decided, made and recorded.

Not the handles inside the sandbox (`runner.capabilities`), not what is stored (`data`, `vault`).
May import `sandbox`, `data`, `policy`, `vault`, `store`, `runner`, `facts` and
`model`.
"""

from casemate.capabilities.broker import Broker
from casemate.capabilities.operations import Operations
from casemate.capabilities.session import Session
from casemate.capabilities.uses import UseCounter, use_of

__all__ = ["Broker", "Operations", "Session", "UseCounter", "use_of"]

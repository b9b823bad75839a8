"""The host's side of what a running function may use: each use is decided, made and noted.

Not the handles inside the sandbox (`runner.capabilities`), not what is stored (`data`, `vault`).
May import `sandbox`, `data`, `policy`, `vault`, `store`, `runner`, `facts` and
`model`.
"""

from casemate.capabilities.broker import Broker
from casemate.capabilities.operations import Operations
from casemate.capabilities.session import Session
from casemate.capabilities.uses import UseCounter, use_of

__all__ = ["Broker", "Operations", "Session", "UseCounter", "use_of"]

"""Stage 3: an instance for each invocation, from zero and back to zero.

Not the making of sandboxes (`sandbox`) and no judgement of requests (`admission`). May import
`model` and `sandbox`.
"""

from casemate.dispatch.deadlines import Deadlines
from casemate.dispatch.dispatcher import Dispatcher

__all__ = ["Deadlines", "Dispatcher"]

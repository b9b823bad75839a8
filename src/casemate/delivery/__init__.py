"""Events that are kept become invocations: leased, invoked, settled, retried, given up.

Also the way in: what is to run later is admitted as if it ran now, and then kept (`acceptance`).
Not how events are kept (`data`), not what happens outside (`triggers`, `sources`). May import
`invocation`, `admission`, `dispatch`, `seal`, `data`, `policy` and `model`.
"""

from casemate.delivery.delivery import Delivery

__all__ = ["Delivery"]

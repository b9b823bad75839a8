"""Stored events become invocations: leased, invoked, settled, retried, given up.

Also the way in: an event that runs later is admitted as if it ran now, then stored (`acceptance`).
Not how events are stored (`data`), not what happens outside (`triggers`, `sources`). May import
`invocation`, `admission`, `dispatch`, `seal`, `data`, `policy` and `model`.
"""

from casemate.delivery.delivery import Delivery

__all__ = ["Delivery"]

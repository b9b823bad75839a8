"""Whether a change of policies permits what was not permitted, decided for every request.

Not a search: requests are of finitely many shapes, and within one all that policies can tell apart
is tried or proved impossible. Not the decision about one request (`evaluation`), which confirms
each that is shown. Knows `policy` alone.
"""

from casemate.policy.widening.deciding import widening
from casemate.policy.widening.requiring import require_no_wider
from casemate.policy.widening.results import Permitted, Widening

__all__ = [
    "Permitted",
    "Widening",
    "require_no_wider",
    "widening",
]

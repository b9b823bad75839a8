"""What is held back until it is lifted: aliases, hosts outside, callers by address, secrets.

Not a function that takes no calls at all (`gateway.quarantines`), and not how much may be used
(`budgets`). Kept by content, so that the same is held back once; asked in memory.
"""

from casemate.restrictions.keeping import Restrictions
from casemate.restrictions.meaning import narrow, require

__all__ = ["Restrictions", "narrow", "require"]

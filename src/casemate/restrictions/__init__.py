"""Restrictions that hold until they are lifted: aliases, outside hosts, callers, secrets.

Not a function that takes no calls at all (`gateway.quarantines`), and not how much may be used
(`budgets`). Kept by content, so the same restriction exists only once; checked in memory.
"""

from casemate.restrictions.keeping import Restrictions
from casemate.restrictions.meaning import narrow, require

__all__ = ["Restrictions", "narrow", "require"]

"""Baselines: what is usual for a function, learned for a time, then locked; the rest is reported.

Not here: rules over several events (`casemate.detection`), and reactions to a deviation, except
refusing what a manifest says to refuse.
"""

from casemate.baselines.baselines import Baselines
from casemate.baselines.learned import Learned

__all__ = ["Baselines", "Learned"]

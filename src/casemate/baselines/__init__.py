"""Baselines: what is usual of a function, learned for a time and then locked; the rest is told.

Not here: rules over several events (`casemate.detection`), and what is done about a deviation but
to refuse what a manifest says is to be refused.
"""

from casemate.baselines.baselines import Baselines
from casemate.baselines.learned import Learned

__all__ = ["Baselines", "Learned"]

"""Limits on use: checked before a call is placed, updated afterwards with what it used.

Not how use is measured (`sandbox.meter`) and summed up (`recorder.records.usage`), and not what it
costs (`metering`). Checks work in memory; at a start, use is counted again from records.
"""

from casemate.budgets.allowance import Allowance
from casemate.budgets.keeping import Budgets
from casemate.budgets.rates import Fields
from casemate.budgets.sharing import Shares
from casemate.budgets.ticket import Ticket

__all__ = ["Allowance", "Budgets", "Fields", "Shares", "Ticket"]

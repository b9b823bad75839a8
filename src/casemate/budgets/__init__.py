"""What may be used at the most: asked before a call is placed, told afterwards what it used.

Not how use is measured (`sandbox.meter`) and summed up (`recorder.records.usage`), and not what it
costs (`metering`). Asking works in memory; what is used is counted again from records at a start.
"""

from casemate.budgets.allowance import Allowance
from casemate.budgets.keeping import Budgets
from casemate.budgets.rates import Fields
from casemate.budgets.sharing import Shares
from casemate.budgets.ticket import Ticket

__all__ = ["Allowance", "Budgets", "Fields", "Shares", "Ticket"]

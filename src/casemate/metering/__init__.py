"""What usage costs: price lists, bills, forecasts, and bills as FinOps tools read them.

Pure: sums and prices in, money out. Not how usage is counted (`recorder.records.usage`), and not
reactions to too much use (`budgets`). Imports only `model`.
"""

from casemate.metering.bill import Bill, bill, forecast
from casemate.metering.costs import Costs, cost_of
from casemate.metering.focus import COLUMNS as FOCUS_COLUMNS
from casemate.metering.focus import focus_rows
from casemate.metering.prices import PriceList, PriceListError, read_prices, shipped, shipped_names

__all__ = [
    "FOCUS_COLUMNS",
    "Bill",
    "Costs",
    "PriceList",
    "PriceListError",
    "bill",
    "cost_of",
    "focus_rows",
    "forecast",
    "read_prices",
    "shipped",
    "shipped_names",
]

"""Cells of tables that people open: formulas. By wrappers; files are watched in `file`."""

from __future__ import annotations

from ..sink import Sink
from ..written import cells

SINK = Sink(
    name=cells.NAME,
    summary="Cells of CSV and Excel: data is no formula, and ends no literal of one.",
    patches={
        "csv": cells.patch_csv,
        "openpyxl.worksheet._writer": cells.patch_openpyxl,
        "xlsxwriter.worksheet": cells.patch_xlsxwriter,
        "xlwt.ExcelFormula": cells.patch_xlwt,
    },
)

"""Checking the data folder of a node that has stopped, without starting the node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from casemate.maintenance.checking import CheckConfig, CheckLine
from casemate.model.errors import CasemateError
from casemate.model.integrity import CheckReport
from casemate.supervisor.stopped_node import run_beside, stopped_node


def check_folder(
    data: Path, master_key: str | None, show: Callable[[CheckReport], None]
) -> CheckReport:
    """Return what a check has found; `show` gets the report as it grows.

    Needs the master key, and the rights of the user that the node runs as. Raises CasemateError:
    if a node has the folder open, or the vault cannot be opened.
    """
    report: CheckReport | None = None

    def heard(line: CheckLine) -> None:
        nonlocal report
        if line.report is not None:
            report = line.report
            show(report)

    with stopped_node(data, master_key, "check") as node:
        config = CheckConfig(data=node.data, vault=node.vault, uid=node.uid)
        code = run_beside(node, "casemate.maintenance.checking", config, heard, CheckLine)
    if code or report is None:
        raise CasemateError(
            f"The check ended with code {code}; what it wrote is above.",
            next_step="Run it again with CASEMATE_DEBUG=1.",
        )
    return report

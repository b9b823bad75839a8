"""`casemate doctor`: tries every protection on this host, one by one and then all together."""

from __future__ import annotations

from casemate.maintenance.finding import Finding
from casemate.maintenance.host_probes import probe_host
from casemate.maintenance.sandbox_probe import try_sandbox

__all__ = ["Finding", "examine"]


def examine(function_ids: str | None = None) -> list[Finding]:
    """Try everything; one finding for each protection, in the order they build on each other.

    `function_ids` is the range that the node will be given, START:COUNT.
    """
    findings = probe_host(function_ids)
    by_name = {finding.name: finding.holds for finding in findings}
    if by_name["bubblewrap"] and by_name["user namespaces"] and by_name["platform"]:
        findings += try_sandbox(by_name["cgroups"], function_ids)
    return findings

"""`casemate doctor`: tries every protection on this host, one by one and then all together."""

from __future__ import annotations

from casemate.maintenance.finding import Finding
from casemate.maintenance.host_probes import HOST_PROBES
from casemate.maintenance.sandbox_probe import try_sandbox

__all__ = ["Finding", "examine"]


def examine() -> list[Finding]:
    """Try everything; one finding for each protection, in the order they build on each other."""
    findings = [probe() for probe in HOST_PROBES]
    by_name = {finding.name: finding.holds for finding in findings}
    if by_name["bubblewrap"] and by_name["user namespaces"] and by_name["platform"]:
        findings += try_sandbox(by_name["cgroups"])
    return findings

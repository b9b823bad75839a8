"""Faults of disks and processes, made on purpose: failing calls, power cuts, kills."""

from support.faults.disk import DiskFaults, Operation
from support.faults.power import PowerCut, Trace

__all__ = ["DiskFaults", "Operation", "PowerCut", "Trace"]

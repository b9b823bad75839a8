"""Maintenance without a running node: probing a host's protections, checking a folder.

Not what an operator does with a running node: that goes through its API to the gateway.
"""

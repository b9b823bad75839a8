"""Durable records: versions, aliases, keys, invocations, errors, logs.

Not the bundles' files (`casemate.build` writes those) and no cache of anything. `interface.py` is
the port, one adapter per file. May import `model` only.
"""

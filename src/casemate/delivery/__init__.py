"""Events that are kept become invocations: leased, invoked, settled, retried, given up.

Not how they are kept (`data`), not what happens outside (`triggers`, `sources`). May import
`invocation`, `admission`, `data` and `model`.
"""

"""The sources process: fetches events from servers outside by one connector for each kind.

Not what becomes of the events (`delivery`), no judgement of them (`admission`). A process of its
own, so that what parses the protocols of other servers holds neither the network side nor the
data of this one. May import `egress` (rules and resolver), `runner` and `model`.
"""

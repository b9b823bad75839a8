"""The supervisor process of a node: it starts the other processes, and alone makes sandboxes.

It never parses the network, a bundle, an event, or anything a function wrote. Not what is inside of
a sandbox (`runner`), nor the gateway's side of one (`sandbox.client`, `sandbox.instance`).
"""

"""The data folder of a node: where each thing is, who owns it, and a check that nothing is gone.

Not the contents of files: those belong to `store`, `data`, `vault` and the gateway's bundles.
"""

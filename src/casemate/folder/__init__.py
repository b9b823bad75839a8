"""The data folder of a node: where in it each thing lies, whose it is, and that nothing is gone.

Not what is in the files: those are `store`'s, `data`'s, `vault`'s and the gateway's bundles.
"""

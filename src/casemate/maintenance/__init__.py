"""What is done on a host without a running node: its protections are tried, a folder is checked.

Not what an operator asks a running node for: that goes through its API to the gateway.
"""

"""Backups of a node: their format, how a running node makes one, how a folder is restored.

Not when one is made: the operator decides that.
"""

"""Backups of a node: their form, how a running node makes one, how a folder is made from one.

Not when one is made: that is the operator's to say.
"""

"""Frozen data and errors that every other package speaks in.

Not a place for behaviour: no I/O, no clock, no configuration. Imports nothing of ours.
"""

"""What libraries do with data: where it comes from, what passes it on, what makes it safe, sinks.

    sources.py   attributes and calls that give outside data
    clean.py     calls whose result nobody outside has chosen
    safe.py      calls that make data safe for some sinks
    table.py     sinks: which argument of which call
    special.py   calls whose danger depends on more than one argument
    contexts.py  whether data is harmful where it stands in a text

Data and pure functions; nothing here imports a library that it tells of.
"""

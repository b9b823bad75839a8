"""Every operation of a node, as data: what it takes, answers with, needs and means.

Routing, strict parsing, the OpenAPI document, what functions may ask for, the typed client, the
calls of the data and what commands take are derived from these structs. It is not where anything is
done.
"""

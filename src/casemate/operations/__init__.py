"""Every operation of a node, as data: its input, its answer, the rights it needs, its meaning.

Routing, strict parsing, the OpenAPI document, what functions may request, the typed client, the
calls of the data and the arguments of commands are derived from these structs. Nothing is executed
here.
"""

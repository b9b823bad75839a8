"""The sink XML: documents that declare entities, and the parsers that would follow them."""

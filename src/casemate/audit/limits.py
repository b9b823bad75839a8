"""Every bound of an audit: what is beyond is told as not audited, and the rest goes on."""

from __future__ import annotations

MIB = 1 << 20

MAX_FILES = 50_000
"""Files that are looked at under what is audited."""
MAX_DEPTH = 24
"""Folders within folders."""
MAX_TEMPLATE_BYTES = 16 * MIB
"""Of a template or manifest."""
MAX_CODE_BYTES = 1 * MIB
"""Of a file of code; longer ones are made by programs."""
MAX_TOTAL_BYTES = 256 * MIB
"""Read altogether."""
MAX_VALUES = 600_000
"""Keys and values of one template, aliases counted as often as they are used."""
MAX_NESTING = 100
MAX_SCALAR = 1 * MIB
"""Characters of one value."""
MAX_EXPANSION = 200_000
"""Values that resolving one template may make."""
MAX_COMPOSED = 32 * MIB
"""Characters of all texts that resolving one template may put together."""
MAX_KEY = 4_096
"""Characters of a key of a template: names of what is in it are made of keys."""
MAX_NESTED_TEMPLATES = 50
MAX_VARIABLE_DEPTH = 20
"""References of the Serverless Framework that lead to one another."""
MAX_FINDINGS = 20_000
MAX_UNRESOLVED = 2_000
MAX_NOTES = 500
"""Of one template on what could not be resolved."""
MAX_TEXT = 4_096
"""Characters of what is told of one thing: a name of a template stands in many of them."""
MAX_LINE = 20_000
"""Characters of a line of code; files with longer ones are taken for generated."""

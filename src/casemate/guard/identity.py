"""What tells one object from all others, at the price of a call.

`id` raises an audit event (`builtins.id`), which every audit hook sees: with the guard's own it
takes ten times as long as without. The hash that each object has by default is made of its address
alone, and of no two that live at a time it is the same.
"""

from __future__ import annotations

identity = object.__hash__
"""As `id`: for an object that is held, whatever hash its own class gives it."""

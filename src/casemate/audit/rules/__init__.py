"""The rules, by what they look at. Each module has a table; `all` has them all."""

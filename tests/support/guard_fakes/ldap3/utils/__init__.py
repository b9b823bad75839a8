"""Escapes."""

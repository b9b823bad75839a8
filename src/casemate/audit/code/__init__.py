"""The code of functions: parsed, never run."""

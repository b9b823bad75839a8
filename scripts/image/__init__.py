"""Makes the container image of a node. `python -m scripts.image` builds it."""

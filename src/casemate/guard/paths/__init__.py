"""The sink path: does data leave the folder that the code names, and how paths are followed."""

"""The sink code: Python that is compiled from texts, names that are imported or looked up."""

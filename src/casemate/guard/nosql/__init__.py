"""The sink NoSQL: documents that are queries, expressions in texts, the drivers."""

"""Whole nodes, each a machine of its own, on PostgreSQL under Patroni and one bucket: struck."""

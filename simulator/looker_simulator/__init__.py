"""A simulated Looker API 4.0 on loopback, with a real query engine."""

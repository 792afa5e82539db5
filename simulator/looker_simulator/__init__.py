"""A Looker API 4.0 on loopback with a real query engine behind it."""

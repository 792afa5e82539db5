"""The wire: Looker's API, its answers, and the results in them."""

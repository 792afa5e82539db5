"""The documentation: its pages, and what writes the parts of them that come from the code."""

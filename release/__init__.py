"""Checks of a release before its upload: `make release-check`."""

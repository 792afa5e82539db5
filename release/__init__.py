"""What a release needs, but the upload: `make release-check`."""

"""Runs airbyte-source-looker, which trusts a certificate authority of one's own.

It runs in a separate environment.
"""

from __future__ import annotations

import os
import sys

import certifi


def main() -> None:
    """Take the authority's file, then the arguments of the source, from the command line."""
    authority = sys.argv.pop(1)
    # Some of its requests look here, the others ask `certifi`, when they are imported.
    os.environ["REQUESTS_CA_BUNDLE"] = authority
    certifi.where = lambda: authority
    from source_looker.run import run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()

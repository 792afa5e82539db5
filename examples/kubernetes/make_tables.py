"""Make the tables of all queries: targets that load a table for the first time race to create it.

Sends the target the schemas without a record. Every pod runs it before its shard; one at a time
does, under an advisory lock of PostgreSQL in the database where Meltano keeps state. Ends with the
exit code of what fails, such as 78 for wrong settings or credentials.
"""

from __future__ import annotations

import os
import subprocess
import sys
from tempfile import TemporaryFile

from sqlalchemy import create_engine, text  # Meltano has it

_LOCK = text("select pg_advisory_lock(hashtext('looker-to-postgres tables'))")


def make_tables() -> int:
    """Return the exit code."""
    schema = ("meltano", "invoke", "tap-looker-tasks", "--test=schema")
    with TemporaryFile() as schemas:
        code = subprocess.run(schema, stdout=schemas, check=False).returncode
        if code:
            return code
        schemas.seek(0)
        load = ("meltano", "invoke", "target-postgres")
        return subprocess.run(load, stdin=schemas, check=False).returncode


if __name__ == "__main__":
    with create_engine(os.environ["MELTANO_DATABASE_URI"]).connect() as connection:
        connection.execute(_LOCK)  # until the connection is closed
        sys.exit(make_tables())

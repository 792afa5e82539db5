"""Runs one query task after the other, with Looker's official client and singer-python.

A first version that one would write; it runs in a separate environment.
"""

from __future__ import annotations

import json
import os
import sys
import time

import looker_sdk
import singer
from looker_sdk import models40

_POLL_SECONDS = 1.0
_STREAM = "rows"
_SCHEMA: dict[str, object] = {"properties": {}}


def main() -> None:
    """Take the base URL and the ids of queries from the command line."""
    base_url, *query_ids = sys.argv[1:]
    os.environ |= {
        "LOOKERSDK_BASE_URL": base_url,
        "LOOKERSDK_CLIENT_ID": "simulator",
        "LOOKERSDK_CLIENT_SECRET": "simulator",
    }
    sdk = looker_sdk.init40()
    singer.write_schema(_STREAM, _SCHEMA, [])
    for query_id in query_ids:
        body = models40.WriteCreateQueryTask(
            query_id=query_id, result_format=models40.ResultFormat.json
        )
        query_task_id = str(sdk.create_query_task(body).id)
        while sdk.query_task(query_task_id).status != "complete":
            time.sleep(_POLL_SECONDS)
        for row in json.loads(sdk.query_task_results(query_task_id)):
            singer.write_record(_STREAM, row)
    singer.write_state({"finished": query_ids})


if __name__ == "__main__":
    main()

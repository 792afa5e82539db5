"""A tap as the Singer SDK documents it, with nothing done for speed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import RESTStream, Tap, typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.pagination import PageNumberPaginator
from typing_extensions import override

from bench.payloads import DIMENSIONS, FIELDS, MEASURES, query_task_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import requests
    from singer_sdk import Stream
    from singer_sdk.helpers.types import Context, Record

_BATCH = 50
_TYPES: dict[str, type[th.JSONTypeHelper[Any]]] = {
    **dict.fromkeys(DIMENSIONS, th.StringType),
    **dict.fromkeys(MEASURES, th.NumberType),
    "orders.id": th.NumberType,
    "orders.created_date": th.DateType,
}
_OBJECT = th.ObjectType(additional_properties=True)


class BatchPaginator(PageNumberPaginator):
    """Numbers the batches of task ids, from 0."""

    def __init__(self, batches: int) -> None:
        """Take how many there are."""
        super().__init__(start_value=0)
        self._batches = batches

    @override
    def has_more(self, response: requests.Response) -> bool:
        return self.current_value + 1 < self._batches


class TaskStream(RESTStream[int]):
    """Asks for finished tasks, a batch at a time."""

    path = "/query_tasks/multi_results"

    @property
    @override
    def url_base(self) -> str:
        return f"{self.config['base_url']}/api/4.0"

    @cached_property
    @override
    def authenticator(self) -> APIKeyAuthenticator:
        return APIKeyAuthenticator(key="Authorization", value="token stub", location="header")

    @override
    def get_new_paginator(self) -> BatchPaginator:
        return BatchPaginator(-(-self.config["tasks"] // _BATCH))

    @override
    def get_url_params(
        self, context: Context | None, next_page_token: int | None
    ) -> dict[str, Any] | str:
        start = (next_page_token or 0) * _BATCH
        numbers = range(start, min(self.config["tasks"], start + _BATCH))
        return {"query_task_ids": ",".join(map(query_task_id, numbers))}


class Rows(TaskStream):
    """One record per row, its cells unwrapped."""

    name = "rows"
    primary_keys: ClassVar[Sequence[str]] = ("_query_task_id", "_row_number")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("_query_task_id", th.StringType, required=True),
        th.Property("_row_number", th.IntegerType, required=True),
        *(th.Property(name.replace(".", "__"), _TYPES[name]) for name in FIELDS),
    ).to_dict()

    @override
    def parse_response(self, response: requests.Response) -> Iterable[Record]:
        for task_id, entry in response.json().items():
            data = entry["data"]
            for number, row in enumerate(data.get("data") or data["rows"], start=1):
                cells = {name.replace(".", "__"): cell["value"] for name, cell in row.items()}
                yield {"_query_task_id": task_id, "_row_number": number, **cells}


class QueryTaskRows(TaskStream):
    """One record per row, unchanged."""

    name = "query_task_rows"
    primary_keys: ClassVar[Sequence[str]] = ("query_task_id", "row_number")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("query_task_id", th.StringType, required=True),
        th.Property("row_number", th.IntegerType, required=True),
        th.Property("row", _OBJECT),
    ).to_dict()

    @override
    def parse_response(self, response: requests.Response) -> Iterable[Record]:
        for task_id, entry in response.json().items():
            for number, row in enumerate(entry["data"], start=1):
                yield {"query_task_id": task_id, "row_number": number, "row": row}


class QueryTaskResults(TaskStream):
    """One record per task, with its rows."""

    name = "query_task_results"
    primary_keys: ClassVar[Sequence[str]] = ("query_task_id",)
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("query_task_id", th.StringType, required=True),
        th.Property("status", th.StringType),
        th.Property("data", _OBJECT),
    ).to_dict()

    @override
    def parse_response(self, response: requests.Response) -> Iterable[Record]:
        for task_id, entry in response.json().items():
            data = {"rows": entry["data"]}
            yield {"query_task_id": task_id, "status": entry["status"], "data": data}


class StockTap(Tap):
    """Delivers one of the streams, of tasks that are all finished."""

    name = "stock-tap"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("base_url", th.StringType, required=True),
        th.Property("stream", th.StringType, required=True),
        th.Property("tasks", th.IntegerType, required=True),
    ).to_dict()

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [
            stream(self)
            for stream in (Rows, QueryTaskRows, QueryTaskResults)
            if stream.name == self.config.get("stream")
        ]


if __name__ == "__main__":
    StockTap.cli()

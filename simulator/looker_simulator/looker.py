"""What the simulated Looker knows: tokens, queries, tasks, calls."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from looker_simulator import content, formats
from looker_simulator.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from looker_simulator.engine import Database
    from looker_simulator.exchange import Call
    from looker_simulator.tasks import QueryTask, QueryTasks

_UNIMPORTANT = frozenset(
    {"id", "slug", "client_id", "share_url", "expanded_share_url", "url", "can"}
)


class HttpError(Exception):
    """A request that Looker refuses."""

    def __init__(self, status: int, message: str) -> None:
        """Take the HTTP status and Looker's message."""
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Looker:
    """What the simulated Looker knows.

    Attributes:
        queries: bodies of the stored and created queries, by id.
        looks: title and `query_id` of the stored and added Looks, by id.
        dashboards: title, filters and elements of the stored and added dashboards, by id.
        folders: name and `parent_id`, by id.
        merge_queries: what merged results consist of, by id.
        calls: requests answered, in order.
        workspaces: `dev` or `production`, by token; production unless set.
        cancelled: tasks that `kill_query` ended.
        hidden_fields: what an access grant hides from the user: left out of Explores and results.
    """

    database: Database
    tasks: QueryTasks
    client_id: str
    client_secret: str
    token_lifetime_seconds: float
    clock: Callable[[], float] = time.monotonic
    faults: Faults = field(default_factory=Faults)
    queries: dict[str, Mapping[str, Any]] = field(init=False)
    looks: dict[str, Mapping[str, Any]] = field(init=False)
    dashboards: dict[str, Mapping[str, Any]] = field(init=False)
    folders: dict[str, Mapping[str, Any]] = field(init=False)
    merge_queries: dict[str, Mapping[str, Any]] = field(init=False)
    calls: list[Call] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    workspaces: dict[str, str] = field(default_factory=dict)
    hidden_fields: set[str] = field(default_factory=set)
    _tokens: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin with what is stored beside the models."""
        stored = self.database.project.content
        self.queries = {**stored.queries}
        self.looks = {**stored.looks}
        self.dashboards = {**stored.dashboards}
        self.folders = {**stored.folders}
        self.merge_queries = {**stored.merge_queries}

    def login(self, client_id: str, client_secret: str) -> dict[str, Any]:
        """Give out a token."""
        if (client_id, client_secret) != (self.client_id, self.client_secret):
            raise HttpError(404, "Not found")
        token = secrets.token_hex(20)
        self._tokens[token] = self.clock() + self.token_lifetime_seconds
        lifetime = self.token_lifetime_seconds
        shown = int(lifetime) if lifetime == int(lifetime) else lifetime
        return {"access_token": token, "token_type": "Bearer", "expires_in": shown}

    def logout(self, token: str) -> None:
        """Take a token back."""
        self._tokens.pop(token, None)

    def accepts(self, token: str) -> bool:
        """Return whether a token is good."""
        return self._tokens.get(token, 0.0) > self.clock()

    def create_query(self, body: Mapping[str, Any], *, with_slug: bool = False) -> str:
        """Store a query, unless there is one like it; returns its id, a number or a slug."""
        described = _comparable(body)
        with self._lock:
            for query_id, found in self.queries.items():
                if _comparable(found) == described:
                    return query_id
            query_id = secrets.token_urlsafe(16) if with_slug else str(len(self.queries) + 1)
            self.queries[query_id] = dict(body)
            return query_id

    def body_of(self, query_id: object) -> Mapping[str, Any]:
        """Return the body of a query."""
        found = self.queries.get(str(query_id))
        if found is None:
            raise HttpError(404, "Not found")
        return found

    def visible(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a query as it is run for the user: without the fields that are hidden."""
        if not self.hidden_fields:
            return body
        fields = [name for name in body.get("fields") or () if name not in self.hidden_fields]
        sorts = [sort for sort in body.get("sorts") or () if sort.split()[0] in fields]
        return {**body, "fields": fields, "sorts": sorts}

    def look(self, look_id: str) -> Mapping[str, Any]:
        """Return a Look."""
        return _known(self.looks, look_id)

    def describe_look(self, look_id: str) -> dict[str, Any]:
        """Describe a Look, without its query."""
        found = self.look(look_id)
        return content.as_look(look_id, found, self.queries.get(found["query_id"]), self.folders)

    def describe_look_with_query(self, look_id: str) -> dict[str, Any]:
        """Describe a Look, with its query if it has one."""
        described = {**self.describe_look(look_id), "url": f"/looks/{look_id}"}
        query_id = described["query_id"]
        if query_id is None:
            return described
        return {**described, "query": content.as_query(query_id, self.body_of(query_id))}

    def dashboard(self, dashboard_id: str) -> dict[str, Any]:
        """Describe a dashboard, complete."""
        found = _known(self.dashboards, dashboard_id)
        return content.as_dashboard(dashboard_id, found, self.queries, self.folders)

    def describe_folder(self, folder_id: str) -> dict[str, Any]:
        """Describe a folder, without what is in it."""
        _known(self.folders, folder_id)
        return content.as_folder(folder_id, self.folders)

    def merge_query(self, merge_query_id: str) -> dict[str, Any]:
        """Describe what merged results consist of."""
        return content.as_merge_query(merge_query_id, _known(self.merge_queries, merge_query_id))

    def create_query_task(self, about: Mapping[str, Any], limit: str | None = None) -> QueryTask:
        """Start a run of a stored query.

        Args:
            about: what the request says: `query_id`, `result_format`, and so on.
            limit: most rows, in place of the query's.
        """
        for name in ("query_id", "result_format"):
            if not about.get(name):
                raise HttpError(422, f"Validation Failed: {name} is required")
        known = formats.JSON_FORMATS | formats.TEXT_FORMATS
        if about["result_format"] not in known:
            raise HttpError(400, f"Unknown result_format {about['result_format']}")
        body = self.visible(self.body_of(about["query_id"]))
        return self.tasks.create({**body, "limit": limit} if limit else body, about)


def _known(entries: Mapping[str, Mapping[str, Any]], id_: str) -> Mapping[str, Any]:
    """Return an entry by its id.

    Raises:
        HttpError: If there is none.
    """
    found = entries.get(id_)
    if found is None:
        raise HttpError(404, "Not found")
    return found


def _comparable(body: Mapping[str, Any]) -> dict[str, Any]:
    described = content.as_query("", body)
    return {k: v for k, v in described.items() if v is not None and k not in _UNIMPORTANT}

"""State of the simulated Looker: users, tokens, queries, tasks, content and calls."""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from looker_simulator import content, formats
from looker_simulator.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from looker_simulator.engine import Database
    from looker_simulator.exchange import Call
    from looker_simulator.model import Model
    from looker_simulator.tasks import QueryTask, QueryTasks

CREDENTIAL = "simulator"
INTERNAL_ERROR = "An error has occurred."
_UNIMPORTANT = frozenset(
    {"id", "slug", "client_id", "share_url", "expanded_share_url", "url", "can"}
)


_DOWNLOAD_LIMIT = 5000


@dataclass(frozen=True)
class User:
    """A user with credentials for the API.

    Attributes:
        id: Looker's ID.
        client_id: Client ID to log in with.
        client_secret: Client secret to log in with.
        name: Display name.
        permissions: Names of the user's permissions; None for all.
        models: Names of the models they apply to; None for all.
        folders: IDs of the folders whose content the user sees; None for all.
        attributes: Values of user attributes, by name, for Liquid and access grants.
    """

    id: str = "1"
    client_id: str = CREDENTIAL
    client_secret: str = CREDENTIAL
    name: str = "Simulator"
    permissions: frozenset[str] | None = None
    models: frozenset[str] | None = None
    folders: frozenset[str] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def email(self) -> str:
        """Return the user's address."""
        return f"{self.name.lower().replace(' ', '.')}@looker.test"

    @property
    def all_attributes(self) -> dict[str, str]:
        """Return the values of Looker's own attributes and of the others."""
        first, _, last = self.name.partition(" ")
        own = {"id": self.id, "name": self.name, "email": self.email, "first_name": first}
        return {**own, "last_name": last, "locale": "en", **self.attributes}

    def may(self, permission: str, model: str | None = None) -> bool:
        """Return whether the user has a permission, for a model if one is named."""
        if self.permissions is not None and permission not in self.permissions:
            return False
        return model is None or self.models is None or model in self.models

    def sees_folder(self, folder_id: str | None) -> bool:
        """Return whether the user sees the content of a folder."""
        return self.folders is None or folder_id in self.folders

    def hidden_fields(self, model: Model | None, explore: str) -> set[str]:
        """Return the names of an Explore's fields that access grants hide from the user."""
        found = model.explores.get(explore) if model else None
        if model is None or found is None:
            return set()
        granted = {
            name
            for name, (attribute, values) in model.access_grants.items()
            if self.all_attributes.get(attribute) in values
        }
        return {name for name, each in found.fields.items() if not each.grants <= granted}


class HttpError(Exception):
    """A request that Looker rejects."""

    def __init__(self, status: int, message: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        """Keep the HTTP status, Looker's message, and the mistake in each field of a body."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors


def reject_fields(*errors: tuple[str, str, str]) -> HttpError:
    """Build the error for a body from the field, code and message of each mistake."""
    keys = ("field", "code", "message")
    details = [dict(zip(keys, error, strict=True)) for error in errors]
    return HttpError(422, "Validation Failed", details)


@dataclass
class Looker:
    """State of the simulated Looker.

    Attributes:
        users: Users that can log in.
        variants: Names of the `VARIANTS` in use.
        queries: Bodies of the stored and created queries, by id.
        looks: Title and `query_id` of the stored and added Looks, by id.
        dashboards: Title, filters and elements of the stored and added dashboards, by id.
        folders: Name and `parent_id`, by id.
        merge_queries: Source queries of merged results, by id.
        calls: Requests with their responses, in order.
        workspaces: Workspace, `dev` or `production`, by token; production unless set.
        cancelled: Tasks that `kill_query` ended.
        hidden_fields: Fields that an access grant hides from the user: left out of Explores and
            results.
    """

    database: Database
    tasks: QueryTasks
    users: Sequence[User]
    token_lifetime_seconds: float
    variants: frozenset[str] = frozenset()
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
    _tokens: dict[str, tuple[float, User]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Start with the content stored beside the models."""
        stored = self.database.project.content
        self.queries = {**stored.queries}
        self.looks = {**stored.looks}
        self.dashboards = {**stored.dashboards}
        self.folders = {**stored.folders}
        self.merge_queries = {**stored.merge_queries}

    def login(self, client_id: str, client_secret: str) -> dict[str, Any]:
        """Log in and return a new token."""
        user = self._find_user(client_id, client_secret)
        if user is None:
            raise HttpError(404, "Not found")
        token = secrets.token_hex(20)
        self._tokens[token] = (self.clock() + self.token_lifetime_seconds, user)
        lifetime = self.token_lifetime_seconds
        shown = int(lifetime) if lifetime == int(lifetime) else lifetime
        return {"access_token": token, "token_type": "Bearer", "expires_in": shown}

    def _find_user(self, client_id: str, client_secret: str) -> User | None:
        given = (client_id, client_secret)
        return next((u for u in self.users if (u.client_id, u.client_secret) == given), None)

    def logout(self, token: str) -> None:
        """Revoke a token."""
        self._tokens.pop(token, None)

    def accepts(self, token: str) -> bool:
        """Return whether a token is valid."""
        expires_at, _ = self._tokens.get(token, (0.0, None))
        return expires_at > self.clock()

    def user_of(self, token: str) -> User:
        """Return the user that logged in for a token.

        Raises:
            HttpError: If the token is no longer valid.
        """
        if token not in self._tokens:
            raise HttpError(401, "Requires authentication.")
        return self._tokens[token][1]

    def require(self, token: str, permission: str, model: str | None = None) -> User:
        """Return the user of a token, who must have a permission.

        Raises:
            HttpError: If the user does not have it; the response is that of a missing object.
        """
        user = self.user_of(token)
        if not user.may(permission, model):
            raise HttpError(404, "Not found")
        return user

    def create_query(self, body: Mapping[str, Any]) -> str:
        """Store a query, unless there is one like it; return the key that it is stored under."""
        described = _comparable(body)
        with self._lock:
            for key, found in self.queries.items():
                if _comparable(found) == described:
                    return key
            key = content.query_key(str(body.get("client_id") or len(self.queries) + 1))
            if key in self.queries:
                raise reject_fields(("client_id", "already_exists", "client_id is taken"))
            self.queries[key] = dict(body)
            return key

    def body_of(self, query_id: str) -> Mapping[str, Any]:
        """Return the body of a query, by its id or the key that it is stored under."""
        return _known(self.queries, content.query_key(query_id))

    def query_key(self, query_id: object) -> str:
        """Return the key that a query is stored under, by its id.

        Raises:
            HttpError: If there is no such query, or the id is a number, which Looker no longer
                accepts.
        """
        text = str(query_id)
        if text.isdecimal() and "numeric_ids" not in self.variants:
            raise HttpError(404, "Not found")
        key = content.query_key(text)
        self.body_of(key)
        return key

    def query_id(self, key: str) -> str:
        """Return the id of a query in the API."""
        key = content.query_key(key)
        return key if "numeric_ids" in self.variants else content.query_slug(key)

    def describe_query(self, key: str) -> dict[str, Any]:
        """Describe a query, by its id or the key that it is stored under."""
        key = content.query_key(key)
        return content.as_query(self.query_id(key), key, self.body_of(key))

    def with_query_ids(self, described: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a description in which queries have their ids in the API."""
        if isinstance(described, list):
            return [self.with_query_ids(entry) for entry in described]
        if not isinstance(described, dict):
            return described
        return {
            key: self.query_id(str(value))
            if key == "query_id" and content.query_key(str(value)) in self.queries
            else self.with_query_ids(value)
            for key, value in described.items()
        }

    def hidden_from(self, user: User, model: str, explore: str) -> set[str]:
        """Return the names of an Explore's fields that are hidden from a user."""
        found = self.database.project.models.get(model)
        return self.hidden_fields | user.hidden_fields(found, explore)

    def visible(self, body: Mapping[str, Any], user: User) -> Mapping[str, Any]:
        """Return a query for a user: without hidden fields, and within the user's limit.

        Raises:
            HttpError: If the user has no permission to query the model.
        """
        model = str(body.get("model"))
        if not (user.may("access_data", model) and user.may("explore", model)):
            raise HttpError(404, "Not found")
        if not user.may("download_without_limit", model):
            body = {**body, "limit": _cap(body.get("limit"))}
        hidden = self.hidden_from(user, model, str(body.get("view")))
        if not hidden:
            return body
        fields = [name for name in body.get("fields") or () if name not in hidden]
        sorts = [
            sort
            for sort in body.get("sorts") or ()
            if sort.split()[:1] and sort.split()[0] in fields
        ]
        return {**body, "fields": fields, "sorts": sorts}

    def sees(self, user: User, described: Mapping[str, Any], permission: str) -> bool:
        """Return whether a user sees a Look or a dashboard, by its folder and model."""
        model = (described.get("model") or {}).get("id")
        return user.may(permission, model) and user.sees_folder(described.get("folder_id"))

    def look(self, look_id: str) -> Mapping[str, Any]:
        """Return a Look."""
        return _known(self.looks, look_id)

    def describe_look(self, look_id: str) -> dict[str, Any]:
        """Describe a Look, without its query."""
        found = self.look(look_id)
        body = self.queries.get(content.query_key(str(found["query_id"])))
        look = content.as_look(look_id, found, body, self.folders)
        return dict(self.with_query_ids(look))

    def describe_look_with_query(self, look_id: str) -> dict[str, Any]:
        """Describe a Look, with its query if it has one."""
        described = {**self.describe_look(look_id), "url": f"/looks/{look_id}"}
        key = self.look(look_id)["query_id"]
        return described if key is None else {**described, "query": self.describe_query(str(key))}

    def dashboard(self, dashboard_id: str) -> dict[str, Any]:
        """Describe a dashboard, complete."""
        found = _known(self.dashboards, dashboard_id)
        elements = [self._with_query(tile) for tile in found.get("dashboard_elements", ())]
        described = content.as_dashboard(
            dashboard_id, {**found, "dashboard_elements": elements}, self.folders
        )
        if "listen_object" in self.variants:
            described = content.with_listen_objects(described)
        return dict(self.with_query_ids(described))

    def _with_query(self, tile: Mapping[str, Any]) -> dict[str, Any]:
        """Add the query of a tile that is stored beside it, as Looker does."""
        key = content.query_key(str(tile.get("query_id")))
        return {**tile, "query": self.describe_query(key)} if key in self.queries else {**tile}

    def describe_folder(self, folder_id: str) -> dict[str, Any]:
        """Describe a folder, without its content."""
        _known(self.folders, folder_id)
        return content.as_folder(folder_id, self.folders)

    def merge_query(self, merge_query_id: str) -> dict[str, Any]:
        """Describe the source queries of merged results."""
        found = _known(self.merge_queries, merge_query_id)
        return dict(self.with_query_ids(content.as_merge_query(merge_query_id, found)))

    def create_query_task(
        self, about: Mapping[str, Any], user: User, limit: str | None = None
    ) -> QueryTask:
        """Start a run of a stored query.

        Args:
            about: Parameters of the request: `query_id`, `result_format`, and so on.
            user: User that runs it.
            limit: Maximum number of rows, instead of the query's.
        """
        missing = [name for name in ("query_id", "result_format") if not about.get(name)]
        if missing:
            raise reject_fields(
                *((name, "missing_field", f"{name} is required") for name in missing)
            )
        check_format(str(about["result_format"]), user)
        key = self.query_key(about["query_id"])
        body = self.body_of(key)
        body = self.visible({**body, "limit": limit} if limit else body, user)
        return self.tasks.create(body, {**about, "query_id": key, "user": user})


def _cap(limit: object) -> str:
    """Return a limit, capped as for users without `download_without_limit`."""
    rows = int(str(limit)) if re.fullmatch(r"-?\d{1,9}", str(limit)) else 0
    if limit is None or not rows:
        return str(limit or 500)
    return str(_DOWNLOAD_LIMIT if rows < 0 else min(rows, _DOWNLOAD_LIMIT))


def check_format(result_format: str, user: User) -> None:
    """Check the format of a result.

    Raises:
        HttpError: If there is no such format, the simulator does not write it, or it is the SQL,
            which the user is not allowed to see.
    """
    if result_format == "sql" and not user.may("see_sql"):
        raise HttpError(404, "Not found")
    if result_format in formats.UNWRITTEN_FORMATS:
        raise HttpError(400, f"The simulator does not write the format {result_format}")
    if result_format not in formats.JSON_FORMATS | formats.TEXT_FORMATS:
        raise HttpError(400, f"Unknown result_format {result_format}")


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
    described = content.as_query("", "", body)
    return {k: v for k, v in described.items() if v is not None and k not in _UNIMPORTANT}

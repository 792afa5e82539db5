"""What a failed request means for the others."""

from __future__ import annotations

from tap_looker_tasks.errors import QueryError, RefusedRequestError, RetriableRequestError

_UNAUTHORIZED = 401


def ends_the_run(error: Exception) -> bool:
    """Return whether no other request can succeed either: wrong credentials, address, disk."""
    if isinstance(error, RefusedRequestError):
        return error.http_status == _UNAUTHORIZED
    return not isinstance(error, RetriableRequestError | QueryError | ValueError)

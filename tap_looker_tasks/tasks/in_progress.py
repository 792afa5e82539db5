"""The requests that were begun and are not over."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tap_looker_tasks.tasks.actions import Request

_Kind = TypeVar("_Kind")


class RequestsInProgress:
    """Requests by identity: two that ask for the same are two."""

    def __init__(self) -> None:
        """Begin with none."""
        self._requests: list[Request] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._requests)

    def begin(self, request: Request) -> Request:
        """Add a request, and return it."""
        self._requests.append(request)
        return request

    def end(self, request: Request) -> None:
        """Remove a request that is over."""
        self._requests = [each for each in self._requests if each is not request]

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        """Return those of a kind."""
        return [request for request in self._requests if isinstance(request, kind)]

"""A server between a client and the simulator that compares both with Looker's description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tests.proxy import Proxy

if TYPE_CHECKING:
    from tests.proxy import Exchange
    from tests.simulator.description import Description


class ValidatingProxy(Proxy):
    """Passes everything on unchanged.

    Attributes:
        wrong_requests: what of the requests was not as described, each thing once.
        wrong_answers: the same of the responses.
    """

    def __init__(self, base_url: str, description: Description) -> None:
        """Take the address of the simulator, and what is said of it."""
        super().__init__(base_url)
        self._description = description
        self.wrong_requests: dict[str, None] = {}
        self.wrong_responses: dict[str, None] = {}

    @override
    def response(self, exchange: Exchange) -> bytes:
        self.wrong_requests |= dict.fromkeys(self._description.wrong_in_request(exchange))
        self.wrong_responses |= dict.fromkeys(self._description.wrong_in_response(exchange))
        return super().response(exchange)

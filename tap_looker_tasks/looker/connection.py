"""Where a Looker is, who asks it, and what one request may take."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Connection:
    """An instance of Looker, credentials for it, and limits.

    Attributes:
        base_url: scheme, host and port of the instance, without a path.
        client_id: of the API credentials.
        client_secret: of the API credentials.
        verify: whether certificates are verified, or the file of the authority to trust.
        timeout_seconds: how long a request may go without a byte, and until its header is there.
        max_tries: of one operation.
        call_limit: most requests, the last of them a logout; None for no limit.
        max_response_bytes: length from which on an answer is refused, unpacked.
    """

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    verify: bool | str
    timeout_seconds: float
    max_tries: int
    call_limit: int | None
    max_response_bytes: int

"""The API token: fetched with the credentials, attached, renewed, given back."""

from __future__ import annotations

from dataclasses import dataclass

RENEWAL_SLACK_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Token:
    """What `POST /login` answered: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/ApiAuth/login>.

    Attributes:
        access_token: for the `Authorization` header of every other request.
        renew_at: epoch seconds after which another one should be used.
    """

    access_token: str
    renew_at: float

    @property
    def header(self) -> dict[str, str]:
        """The header that Looker documents for API tokens."""
        return {"Authorization": f"token {self.access_token}"}


def token_from(answer: object, now: float) -> Token:
    """Read the answer to a login at `now`.

    Raises:
        ValueError: there is no token in it.
    """
    match answer:
        case {"access_token": str(access_token), **rest} if access_token:
            expires_in = rest.get("expires_in")
            lifetime = expires_in if isinstance(expires_in, int | float) else 3600
            # A token shorter-lived than the slack is still used for most of its life.
            return Token(access_token, now + max(lifetime - RENEWAL_SLACK_SECONDS, lifetime / 2))
    msg = "no access_token in the answer to the login"
    raise ValueError(msg)

"""The API token."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from tap_looker_tasks.errors import RetriableRequestError
from tap_looker_tasks.looker.operation import (
    Operation,
    SharedToken,
    SteadyClock,
    Token,
    token_from,
)


def test_a_token_is_renewed_a_minute_before_it_expires() -> None:
    token = token_from({"access_token": "t", "token_type": "Bearer", "expires_in": 3600}, 1000)
    assert token.header == {"Authorization": "token t"}
    assert token.renew_at == 1000 + 3540


@pytest.mark.parametrize(("expires_in", "lasts"), [(60, 30), (10, 5), (None, 3540), ("x", 3540)])
def test_a_short_or_unknown_lifetime_does_not_mean_a_login_per_request(
    expires_in: object, lasts: float
) -> None:
    assert token_from({"access_token": "t", "expires_in": expires_in}, 0).renew_at == lasts


UNFIT = [{"access_token": f"a{odd}b"} for odd in ("\r\nX: y", "\n", " ", "\u20ac", "\xe9", "\x7f")]


@pytest.mark.parametrize(
    "response", [None, [], {}, {"access_token": None}, {"access_token": ""}, *UNFIT]
)
def test_a_response_without_a_token_is_an_error(response: object) -> None:
    with pytest.raises(ValueError, match="no usable access_token"):
        token_from(response, 0)


def test_another_thread_waits_for_a_login_no_longer_than_its_operation() -> None:
    clock = SteadyClock()
    failures: list[str] = []

    def log_in(operation: Operation) -> Token:
        def wait() -> None:
            with pytest.raises(RetriableRequestError) as caught:
                shared.get(Operation("look", "https://looker", clock.now(), operation.aborted))
            failures.append(caught.value.message)

        thread = Thread(target=wait)
        thread.start()
        thread.join()
        return Token("t", clock.now() + 60)

    shared = SharedToken(log_in, clock)
    shared.get(Operation("look", "https://looker", clock.now() + 60, Event()))
    assert failures == ["look: the login took too long; see http_timeout_seconds"]

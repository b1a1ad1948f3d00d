"""The client's login: before the first call, before the token runs out, and when a call is refused all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from lora_post.secret import Account, Secret
from lora_post.sinks.waziup.client import WaziupClient
from tests.support.waziup import Fault, Waziup, waziup

LOGIN = "POST /auth/token"


@pytest.fixture
def server() -> Iterator[Waziup]:
    with waziup() as running:
        yield running


@pytest.fixture
def client(server: Waziup) -> Iterator[WaziupClient]:
    with closing(WaziupClient(server.url, Account("demo", Secret("demo")))) as made:
        yield made


def test_one_login_serves_many_calls(server: Waziup, client: WaziupClient) -> None:
    assert client.owner == ""
    for _ in range(3):
        assert b'"demo"' in client.get_me().body
    assert client.owner == "demo"
    assert server.days.seen.count(LOGIN) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_refused_call_is_made_once_more_with_a_fresh_token(server: Waziup, client: WaziupClient, status: int) -> None:
    client.get_me()
    server.days.faults.append(Fault("^PUT /devices/d/gateway_id$", status, times=1))
    assert client.put_device("d", "gateway_id", "gw1").status == 404
    assert server.days.seen[-3:] == ["PUT /devices/d/gateway_id", LOGIN, "PUT /devices/d/gateway_id"]
    server.days.faults.append(Fault("^PUT /devices/d/gateway_id$", status, times=9))
    assert client.put_device("d", "gateway_id", "gw1").status == status
    assert server.days.seen[-3:] == ["PUT /devices/d/gateway_id", LOGIN, "PUT /devices/d/gateway_id"]


def test_without_an_account_nothing_is_logged_in_or_repeated(server: Waziup) -> None:
    with closing(WaziupClient(server.url)) as client:
        server.days.faults.append(Fault("^GET /devices/d$", 403, times=1))
        assert client.get_device("d").status == 403
        assert client.owner == ""
    assert server.days.seen == ["GET /devices/d"]


def test_call_as_guest_is_never_repeated_as_the_user(server: Waziup, client: WaziupClient) -> None:
    assert client.put_device_as_guest("d", "owner", "demo").status == 404
    assert LOGIN not in server.days.seen

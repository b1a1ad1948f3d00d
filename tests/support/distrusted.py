"""A client whose token the server does not believe at the wrong moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lora_post.net.http_client import Answer
from lora_post.sinks.waziup.client import DeviceBody, GatewayBody, WaziupClient
from tests.support.waziup import Fault, Waziup


class Distrusted(WaziupClient):
    """A client whose token the server does not believe just for a creation: it answers 2xx, and the owner is guest.

    What goes wrong then or thereafter is given.
    """

    def __init__(self, server: Waziup, fault: Fault) -> None:
        super().__init__(server.url)
        self._server = server
        self._fault = fault

    def post_gateway(self, gateway: GatewayBody) -> Answer:
        with self._distrusted():
            return super().post_gateway(gateway)

    def post_device(self, device: DeviceBody) -> Answer:
        with self._distrusted():
            return super().post_device(device)

    @contextmanager
    def _distrusted(self) -> Iterator[None]:
        self._server.days.faults.append(self._fault)
        token, self._http._token = self._http._token, None
        try:
            yield
        finally:
            self._http._token = token

"""Check the WaziGate of [wazigate]; nothing is created or changed.

Source: Waziup/wazigate-edge: api/{auth,devices}.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import msgspec

from lora_post.errors import SinkError
from lora_post.secret import Account
from lora_post.sinks.finding import Finding, fail, ok
from lora_post.sinks.wazigate import WazigateConfig
from lora_post.sinks.wazigate.client import WazigateClient

SUBJECT = "wazigate"
# Any device would do: without the right to look, the answer is 401 whether it is there or not.
ANY_DEVICE = "lora-post"


def check_wazigate(config: WazigateConfig) -> Iterator[Finding]:
    """Test that something answers, that it is a WaziGate, and that it lets us in."""
    with closing(WazigateClient(config.url, config.account)) as client:
        try:
            answer = client.get_id()
            try:
                gate_id = msgspec.json.decode(answer.body, type=str) if answer.status == 200 else ""
            except (msgspec.MsgspecError, UnicodeDecodeError):
                gate_id = ""
            if not gate_id:
                text = f"what answers at {config.url} is not a WaziGate: status {answer.status}"
                yield fail(SUBJECT, text, "correct [wazigate] url")
                return
            yield ok(SUBJECT, f"WaziGate {gate_id} answers at {config.url}")
            yield _check_login(client, config.account)
        except SinkError as error:
            fix = error.fix or "is it up, and in the same network? Is [wazigate] url right?"
            yield fail(SUBJECT, f"{config.url}: {error.what}", fix)


def _check_login(client: WazigateClient, account: Account | None) -> Finding:
    if account is not None:
        client.log_in()
    client.get_sensors(ANY_DEVICE)
    return ok(SUBJECT, f"logged in as {account.username}" if account else "no login is needed")

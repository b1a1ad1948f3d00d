"""A configuration with a device that joins, and the installed command that runs with it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_post.lorawan.root_keys import RootKeys
from tests.support.command import PATIENCE_S, started
from tests.support.forwarder import Forwarder
from tests.support.ports import free_port

WARM = bytes.fromhex("036700e1")  # Cayenne LPP: channel 3, 22.5 °C


class Site:
    """A gateway's configuration with one device that joins."""

    def __init__(
        self, folder: Path, root: RootKeys, *, network: str = '[network]\nregion = "EU868"\n', transmit: str = ""
    ) -> None:
        self.folder = folder
        self.port = free_port()
        app_key, *nwk_key = root.secrets
        keys = f'app_key = "{app_key.hex()}"\n' + "".join(f'nwk_key = "{key.hex()}"\n' for key in nwk_key)
        (folder / "site.toml").write_text(
            '[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n[json_lines]\npath = "out.jsonl"\n'
            f'{network}[[input]]\nurl = "udp://127.0.0.1:{self.port}"\n{transmit}'
            f'[[device]]\nid = "buoy"\ndev_eui = "{root.dev_eui:016x}"\njoin_eui = "{root.join_eui:016x}"\n'
            f'{keys}decoder = "cayenne-lpp"\n'
        )
        (folder / "site.toml").chmod(0o600)

    @contextmanager
    def running(self) -> Iterator[Forwarder]:
        """Run the command; a forwarder talks to it."""
        with (
            started("run", "-c", "site.toml", cwd=self.folder) as process,
            Forwarder(self.port) as forwarder,
        ):
            forwarder.ask()
            yield forwarder
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, log.decode()

    def values(self) -> list[object]:
        path = self.folder / "out.jsonl"
        return [json.loads(line)["value"] for line in path.read_text().splitlines()] if path.exists() else []

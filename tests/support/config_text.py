"""What configurations of tests are put together from."""

from __future__ import annotations

from pathlib import Path

KEY = "00112233445566778899aabbccddeeff"
PATH = Path("site.toml")
GATEWAY = '[gateway]\nid = "gw1"\n'
LORAWAN = f'[[device]]\ndev_addr = "26011bda"\nnwk_skey = "{KEY}"\napp_skey = "{KEY}"\ndecoder = "cayenne-lpp"\n'

from __future__ import annotations

from collections.abc import Callable

import pytest

from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.mac_body import Body


@pytest.mark.parametrize(
    "build",
    [
        lambda: mac.RXTimingSetupReq(16),
        lambda: mac.DevStatusAns(0, 32),
        lambda: mac.DevStatusAns(-1, 0),
        lambda: mac.BeaconFreqReq(868_100_050),
    ],
)
def test_what_a_field_cannot_hold_is_refused(build: Callable[[], Body]) -> None:
    with pytest.raises(ValueError, match=r"(delay_s|margin_db|battery|frequency_hz) is "):
        build().to_bytes()

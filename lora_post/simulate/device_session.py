"""Hold the session of a device: its keys, its counters, and the MICs and ciphers that they give.

Sources: LoRaWAN 1.0.4, sections 4.3 and 4.4; LoRaWAN 1.1, sections 4.3 and 4.4.
"""

from __future__ import annotations

from msgspec import Struct

from lora_post.lorawan.phy_payload import DataFrame
from lora_post.lorawan.session_keys import DOWNLINK, UPLINK, AnySessionKeys, SessionKeys
from lora_post.simulate.obedience import Obedience


class SentUplink(Struct):
    """An uplink; a confirmed one is sent again as it is. acked: FCnt of the downlink that it acknowledges."""

    fcnt: int
    signed: bytes
    acked: int | None
    is_confirmed: bool
    sends: int = 0


class Session(Struct):
    """What a device has from its last join.

    downs: the newest FCntDown, of frames with an FPort above 0 apart in LoRaWAN 1.1. is_told: RekeyConf was heard.
    quiet: uplinks since the last downlink. rejoins: the next RJcount0. gave_up: a confirmed uplink was not
    acknowledged; a command that was sealed with its acknowledgement may still come.
    """

    dev_addr: int
    keys: AnySessionKeys
    told: Obedience
    fcnt_up: int = 0
    downs: dict[bool, int] = {}
    is_told: bool = False
    quiet: int = 0
    rejoins: int = 0
    gave_up: bool = False

    @property
    def is_10(self) -> bool:
        """Whether it is one of LoRaWAN 1.0."""
        return isinstance(self.keys, SessionKeys)

    def uplink_mic(self, uplink: SentUplink, rate: int, channel: int) -> bytes:
        """Return the MIC of an uplink at this data rate on this channel."""
        keys, dev_addr, fcnt = self.keys, self.dev_addr, uplink.fcnt
        if isinstance(keys, SessionKeys):
            return keys.data_mic(dev_addr, fcnt, UPLINK, uplink.signed)
        serving = keys.serving_mic(dev_addr, fcnt, uplink.signed, rate, channel, (uplink.acked or 0) & 0xFFFF)
        return serving + keys.forwarding_mic(dev_addr, fcnt, uplink.signed)

    def downlink_mic(self, data: DataFrame, fcnt: int, acked_fcnt: int) -> bytes:
        """Return the MIC that a downlink must have. acked_fcnt: of the uplink that it acknowledges, else 0."""
        if isinstance(self.keys, SessionKeys):
            return self.keys.downlink_mic(data.dev_addr, fcnt, data.signed)
        return self.keys.downlink_mic(data.dev_addr, fcnt, data.signed, acked_fcnt & 0xFFFF)

    def sealed_payload(self, fcnt: int, fport: int, payload: bytes) -> bytes:
        """Return the FRMPayload of an uplink."""
        return self.keys.crypt(self.dev_addr, fcnt, UPLINK, fport, payload)

    def sealed_fopts(self, fcnt: int, fopts: bytes) -> bytes:
        """Return the FOpts of an uplink, which LoRaWAN 1.1 encrypts."""
        return fopts if isinstance(self.keys, SessionKeys) else self.keys.crypt_fopts(self.dev_addr, fcnt, fopts)

    def opened_payload(self, data: DataFrame, fcnt: int, fport: int) -> bytes:
        """Return the clear FRMPayload of a downlink."""
        return self.keys.crypt(data.dev_addr, fcnt, DOWNLINK, fport, data.frm_payload)

    def opened_commands(self, data: DataFrame, fcnt: int) -> bytes:
        """Return the MAC commands of a downlink: its payload on FPort 0, else its FOpts."""
        if data.fport == 0:
            return self.opened_payload(data, fcnt, 0)
        if isinstance(self.keys, SessionKeys):
            return data.fopts
        return self.keys.crypt_fopts(data.dev_addr, fcnt, data.fopts, DOWNLINK, data.fport)

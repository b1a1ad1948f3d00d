"""The layout of join messages, parse and build; no keys.

    request  =  MHDR(1) | JoinEUI(8) | DevEUI(8) | DevNonce(2) | MIC(4)
    rejoin   =  MHDR(1) | type 0, 2(1) | NetID(3) | DevEUI(8) | RJcount0(2) | MIC(4)
    accept   =  MHDR(1) | JoinNonce(3) | NetID(3) | DevAddr(4) | DLSettings(1) | RxDelay(1) | [ CFList(16) ] | MIC(4)

All numbers are little-endian on air; of a join-accept everything behind the MHDR is encrypted.
Sources: LoRaWAN 1.0.3, sections 6.2.4 and 6.2.5; LoRaWAN 1.1, sections 6.2.2 to 6.2.4.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from lora_post.errors import FrameError

REQUEST_SIZE: Final = 23
REJOIN_SIZE: Final = 19
ACCEPT_SIZES: Final = (17, 33)
OPT_NEG: Final = 0x80
"""In DLSettings: the session is one of LoRaWAN 1.1."""

_REQUEST: Final = Layout("<BQQH")
_REJOIN: Final = Layout("<BB3sQH")
_ACCEPT_MHDR: Final = 0x20
_MIC_SIZE: Final = 4


class JoinRequest(Struct, frozen=True, gc=False):
    """A join-request. signed: all bytes before the MIC. LoRaWAN 1.0 calls the JoinEUI AppEUI."""

    join_eui: int
    dev_eui: int
    dev_nonce: int
    mic: bytes
    signed: bytes


class RejoinRequest(Struct, frozen=True, gc=False):
    """A rejoin-request of a LoRaWAN 1.1 session. kind: 0 or 2. count: RJcount0. signed: all bytes before the MIC."""

    kind: int
    dev_eui: int
    count: int
    mic: bytes
    signed: bytes


class JoinAccept(Struct, frozen=True, gc=False):
    """A join-accept in clear.

    dl_settings: see the properties. rx_delay_s: from the end of an uplink to RX1, 1 … 15. cf_list: see `cf_list`, b""
    where there is none. signed: all bytes before the MIC, MHDR included.
    """

    join_nonce: int
    net_id: int
    dev_addr: int
    dl_settings: int
    rx_delay_s: int
    cf_list: bytes
    mic: bytes
    signed: bytes

    @property
    def opt_neg(self) -> bool:
        """Whether it opens a session of LoRaWAN 1.1."""
        return bool(self.dl_settings & OPT_NEG)

    @property
    def rx1_offset(self) -> int:
        """How far the data rate in RX1 is below that of the uplink."""
        return self.dl_settings >> 4 & 7

    @property
    def rx2_data_rate(self) -> int:
        """The index of the data rate in RX2."""
        return self.dl_settings & 15


def parse_join_request(phy_payload: bytes) -> JoinRequest:
    """Take a join-request apart. Raises FrameError for a wrong length."""
    if len(phy_payload) != REQUEST_SIZE:
        raise FrameError(f"a join-request has {REQUEST_SIZE} bytes, this one {len(phy_payload)}")
    _, join_eui, dev_eui, dev_nonce = _REQUEST.unpack_from(phy_payload)
    return JoinRequest(join_eui, dev_eui, dev_nonce, phy_payload[-_MIC_SIZE:], phy_payload[:-_MIC_SIZE])


def parse_rejoin_request(phy_payload: bytes) -> RejoinRequest:
    """Take a rejoin-request of type 0 or 2 apart. Raises FrameError for others."""
    if len(phy_payload) != REJOIN_SIZE or phy_payload[1] not in (0, 2):
        raise FrameError("a rejoin-request that is not of type 0 or 2 is not answered")
    _, kind, _, dev_eui, count = _REJOIN.unpack_from(phy_payload)
    return RejoinRequest(kind, dev_eui, count, phy_payload[-_MIC_SIZE:], phy_payload[:-_MIC_SIZE])


def build_rejoin_request(kind: int, net_id: int, dev_eui: int, count: int) -> bytes:
    """Build a rejoin-request of type 0 or 2 up to its MIC."""
    return _REJOIN.pack(0xC0, kind, net_id.to_bytes(3, "little"), dev_eui, count)


def parse_join_accept(mhdr: int, clear: bytes) -> JoinAccept:
    """Take a join-accept apart. Raises FrameError for a wrong length.

    clear: what was decrypted, 16 or 32 bytes, MIC included.
    """
    if len(clear) + 1 not in ACCEPT_SIZES:
        raise FrameError(f"a join-accept has {' or '.join(map(str, ACCEPT_SIZES))} bytes, this one {len(clear) + 1}")
    return JoinAccept(
        int.from_bytes(clear[:3], "little"),
        int.from_bytes(clear[3:6], "little"),
        int.from_bytes(clear[6:10], "little"),
        clear[10],
        clear[11] & 15 or 1,
        clear[12:-_MIC_SIZE],
        clear[-_MIC_SIZE:],
        bytes((mhdr,)) + clear[:-_MIC_SIZE],
    )


def build_join_request(join_eui: int, dev_eui: int, dev_nonce: int) -> bytes:
    """Build a join-request up to its MIC."""
    return _REQUEST.pack(0x00, join_eui, dev_eui, dev_nonce)


def build_join_accept(
    *, join_nonce: int, net_id: int, dev_addr: int, dl_settings: int = 0, rx_delay: int = 1, cf_list: bytes = b""
) -> bytes:
    """Build a join-accept in clear, up to its MIC.

    Raises OverflowError for what the layout cannot hold.
    """
    numbers = ((join_nonce, 3), (net_id, 3), (dev_addr, 4), (dl_settings, 1), (rx_delay, 1))
    fields = b"".join(number.to_bytes(size, "little") for number, size in numbers)
    return bytes((_ACCEPT_MHDR,)) + fields + cf_list

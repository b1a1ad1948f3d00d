"""What devices and networks send, sealed: the counterparts of what lora-post opens."""

from __future__ import annotations

import struct

from lora_post.lorawan.join_messages import build_join_accept
from lora_post.lorawan.phy_payload import MType, build_data_frame
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import UPLINK, SessionKeys11
from lora_post.lowcost.header import Header, build_header
from lora_post.lowcost.lsc import LscKey

KEYS_11 = SessionKeys11(*(bytes(range(first, first + 16)) for first in (0x10, 0x20, 0x30, 0x40)))
DEV_EUI, JOIN_EUI = 0x02AABBCCDDEEFF01, 0xFEEDC0DE00000001
ROOT_11 = RootKeys(DEV_EUI, JOIN_EUI, bytes(range(0xB0, 0xC0)), bytes(range(0xA0, 0xB0)))
ROOT_10 = RootKeys(DEV_EUI, JOIN_EUI, bytes(range(0xB0, 0xC0)))


def seal_11(
    keys: SessionKeys11,
    dev_addr: int,
    fcnt: int,
    fport: int | None,
    payload: bytes = b"",
    *,
    fopts: bytes = b"",
    flags: int = 0,
    tx_dr: int = 5,
    tx_ch: int = 0,
    conf_fcnt: int = 0,
) -> bytes:
    """The PHYPayload in which a LoRaWAN 1.1 device sends this."""
    signed = build_data_frame(
        mtype=MType.UNCONFIRMED_UP,
        dev_addr=dev_addr,
        fcnt=fcnt,
        fport=fport,
        frm_payload=keys.crypt(dev_addr, fcnt, UPLINK, fport or 0, payload),
        fopts=keys.crypt_fopts(dev_addr, fcnt, fopts),
        flags=flags,
    )
    serving = keys.serving_mic(dev_addr, fcnt, signed, tx_dr, tx_ch, conf_fcnt)
    return signed + serving + keys.forwarding_mic(dev_addr, fcnt, signed)


def seal_lsc(key: LscKey, header: Header, payload: bytes) -> bytes:
    """The packet in which a LowCostLoRaGw device with LSC sends this."""
    head = build_header(header)
    sealed = key.crypt(payload, header.seq)
    return head + sealed + key.mic(head, sealed, header.seq)


def signed_join_request(join_eui: int, dev_eui: int, dev_nonce: int) -> bytes:
    """A join-request up to its MIC."""
    return struct.pack("<BQQH", 0x00, join_eui, dev_eui, dev_nonce)


def join_request(root: RootKeys, dev_nonce: int) -> bytes:
    """The join-request of a device."""
    signed = signed_join_request(root.join_eui, root.dev_eui, dev_nonce)
    return signed + root.request_mic(signed)


def join_accept(
    root: RootKeys, dev_nonce: int, dev_addr: int, *, join_nonce: int = 0x2A, cf_list: bytes = b""
) -> bytes:
    """The network's answer to the join-request with this DevNonce; of LoRaWAN 1.1 if the root keys are."""
    signed = build_join_accept(
        join_nonce=join_nonce, net_id=1, dev_addr=dev_addr, dl_settings=0x80 if root.is_11 else 0, cf_list=cf_list
    )
    return root.sealed_accept(signed, dev_nonce, opt_neg=root.is_11)

"""Write frames as radio programs, modules and packet forwarders print them.

Each output is read again by the parser of the same name in `formats`, which also names the sources of the format.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Final

import msgspec

from lora_post.clocks.scale import utc_text
from lora_post.formats.loratap_pcap import pcap_record, write_pcap_header
from lora_post.model import Frame
from lora_post.times import StampUs

_PROTOCOL: Final = b"\x02"
_PUSH_DATA: Final = b"\x00"


def lowcost_text(frame: Frame, count: int) -> bytes:
    """Return what LowCostLoRaGw's radio program prints in raw mode, in UTC.

    count: how many packets it has received.
    """
    rx, payload = frame.rx, frame.phy_payload
    bw, cr, sf = round(rx.bw_khz or 125), (rx.cr or "4/5")[2:], rx.sf or 12
    size, snr, rssi = len(payload), round(rx.snr_db or 0), round(rx.rssi_dbm or 0)
    text = (
        f"--- rxlora[{count}]. dst=0 type=0x00 src=0 seq=0 len={size} "
        f"SNR={snr} RSSIpkt={rssi} BW={bw} CR=4/{cr} SF={sf}\n"
        f"^p0,0,0,0,{size},{snr},{rssi}\n^r{bw},{cr},{sf},{round((rx.freq_mhz or 868.1) * 1000)}\n"
        f"^t{_with_fraction(frame.time_us)[:-1]}*{frame.time_us % (1 << 32)}\n"
    )
    return text.encode() + b"\xff\xfe" + payload + b"\n"


def rxpk_object(frame: Frame) -> bytes:
    """Return what Semtech's packet forwarder sends for one frame: a JSON object with one rxpk."""
    rx = frame.rx
    rxpk = {
        "tmst": frame.time_us % (1 << 32) if frame.tmst is None else frame.tmst,
        "time": _with_fraction(frame.time_us),
        "chan": 0,
        "rfch": 0,
        "freq": rx.freq_mhz,
        "stat": 1,
        "modu": "LORA",
        "datr": f"SF{rx.sf}BW{round(rx.bw_khz or 125)}",
        "codr": rx.cr,
        "rssi": rx.rssi_dbm,
        "lsnr": rx.snr_db,
        "size": len(frame.phy_payload),
        "data": binascii.b2a_base64(frame.phy_payload, newline=False).decode(),
    }
    return msgspec.json.encode({"rxpk": [rxpk]})


def push_data(frame: Frame, token: int, eui: bytes) -> bytes:
    """Return a PUSH_DATA datagram, protocol version 2. eui: the gateway's, 8 bytes."""
    return _PROTOCOL + (token & 0xFFFF).to_bytes(2) + _PUSH_DATA + eui + rxpk_object(frame)


def rxpk_line(frame: Frame, count: int) -> bytes:
    """Return a packet forwarder's JSON, one object a line."""
    return rxpk_object(frame) + b"\n"


def hex_line(frame: Frame, count: int) -> bytes:
    """Return the bytes in hex."""
    return frame.phy_payload.hex().encode() + b"\n"


def rn2483_lines(frame: Frame, count: int) -> bytes:
    """Return what an RN2483 prints that is asked for SNR and RSSI after each frame."""
    levels = f"{round(frame.rx.snr_db or 0)}\r\n{round(frame.rx.rssi_dbm or 0)}\r\nok\r\n"
    return b"radio_rx  " + frame.phy_payload.hex().upper().encode() + b"\r\n" + levels.encode()


def rak_line(frame: Frame, count: int) -> bytes:
    """Return what a RAK module with RUI3 prints."""
    levels = f"{round(frame.rx.rssi_dbm or 0)}:{round(frame.rx.snr_db or 0)}"
    return f"+EVT:RXP2P:{levels}:{frame.phy_payload.hex().upper()}\r\n".encode()


def reyax_line(frame: Frame, count: int) -> bytes:
    """Return what a REYAX module prints: it has a header of its own in place of the four bytes."""
    src, data = frame.phy_payload[2], frame.phy_payload[4:]
    levels = f",{round(frame.rx.rssi_dbm or 0)},{round(frame.rx.snr_db or 0)}\r\n"
    return f"+RCV={src},{len(data)},".encode() + data + levels.encode()


def pcap_packet(frame: Frame, count: int) -> bytes:
    """Return a packet of a LoRaTap capture; the first one has the file's header before it."""
    record = pcap_record(frame)
    return record if count > 1 else write_pcap_header() + record


WRITERS: Final[dict[str, Callable[[Frame, int], bytes]]] = {
    "lowcost": lowcost_text,
    "rxpk": rxpk_line,
    "lines": hex_line,
    "rn2483": rn2483_lines,
    "rak": rak_line,
    "reyax": reyax_line,
    "pcap": pcap_packet,
}
"""Name of a format -> its writer: (frame, how many frames with this one) -> bytes."""


def _with_fraction(time_us: StampUs) -> str:
    text = utc_text(time_us)
    return text if "." in text else text[:-1] + ".000000Z"

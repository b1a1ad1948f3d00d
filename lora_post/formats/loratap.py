"""LoRaTap: the header in front of a PHYPayload in a capture, read and written.

    lt_version(1) | padding(1) | lt_length(2) | frequency(4) | bandwidth(1) | spreading factor(1)
    | packet_rssi(1) | max_rssi(1) | current_rssi(1) | snr(1) | sync_word(1)                      version 0: 15 bytes
    | source_gw(8) | timestamp(4) | flags(1) | coding rate(1) | datarate(2) | if_channel(1)
    | rf_chain(1) | tag(2)                                                                        version 1: 35 bytes

All numbers are big-endian. Frequency in Hz, bandwidth in steps of 125 kHz, RSSI as dBm + 139,
snr signed in steps of 0.25 dB. 255 stands for an RSSI that is not known, and here -32 dB, at which no
LoRa receiver hears anything, for an SNR that is not known. Later versions append to what there is.

Wireshark knows version 1 from 4.2 on; older ones take its second part for the PHYPayload.

packet_rssi below 0 dB of SNR is read in steps of 0.25 dB, as LoRaTap's text has it; Wireshark reads
whole steps always, and so shows up to 190 dB more.

Sources: eriknl/LoRaTap: README.md, loratap.h; alpov/LoRaTap: sniffer-to-pcap.c; Wireshark: packet-loratap.c.
"""

from __future__ import annotations

import re
from struct import Struct as Layout
from typing import Final, Literal

from lora_post.formats.line_reader import show
from lora_post.lorawan.join_messages import ACCEPT_SIZES
from lora_post.lorawan.phy_payload import MAX_PHY_PAYLOAD, MType
from lora_post.lowcost import header as lowcost
from lora_post.model import SPREADING_FACTORS, Frame, Link, Noise, NoiseReason, RxInfo
from lora_post.text import plural
from lora_post.times import WallUs

_START: Final = Layout(">BBH")
_V0: Final = Layout(">IBBBBBbB")
_V1: Final = Layout(">8sIBBHBBH")
_V0_SIZE: Final = _START.size + _V0.size
_V1_SIZE: Final = _V0_SIZE + _V1.size

_FSK: Final = 0x01
_IQ_INVERTED: Final = 0x02
_CRC_OK: Final = 0x08
_CRC_BAD: Final = 0x10
_NO_CRC: Final = 0x20

_UNKNOWN: Final = 255
_RSSI_BASE: Final = -139
_UNKNOWN_SNR: Final = -128
_PUBLIC: Final = 0x34
_PRIVATE: Final = 0x12
_NO_GATEWAY: Final = bytes(8)
_is_eui: Final = re.compile(r"[0-9a-f]{16}").fullmatch
_CODING_RATES: Final = {5: "4/5", 6: "4/6", 7: "4/7", 8: "4/8"}
_CODING_RATE_NUMBERS: Final = {text: number for number, text in _CODING_RATES.items()}
_LORAWAN: Final = Link.LORAWAN


def read_loratap(record: bytes, gateway: str, time_us: WallUs) -> Frame | Noise:
    """Return the frame of one captured packet. gateway: for packets that do not name theirs.

    A packet without CRC may be damaged: only a MIC can speak for it, so it counts as LoRaWAN.
    """
    size = len(record)
    version, _, start = _START.unpack_from(record) if size >= _START.size else (0, 0, 0)
    if not (_V0_SIZE, _V1_SIZE)[version > 0] <= start <= size or size - start > MAX_PHY_PAYLOAD:
        detail = f"LoRaTap version {version}, header of {start} bytes, {size} in all: {show(record)}"
        return Noise(NoiseReason.BAD_RECORD, size, detail)
    phy_payload = record[start:]
    hz, bandwidth, sf, packet_rssi, max_rssi, current_rssi, snr, _ = _V0.unpack_from(record, _START.size)
    snr_db = None if snr == _UNKNOWN_SNR else snr / 4
    rssi_dbm = _packet_rssi(packet_rssi, snr)
    if packet_rssi == max_rssi == _UNKNOWN != current_rssi:
        rssi_dbm = _RSSI_BASE + current_rssi
    cr = link = None
    if version > 0:
        eui, _, flags, coding_rate, _, _, _, _ = _V1.unpack_from(record, _V0_SIZE)
        if flags & _CRC_BAD:
            return Noise(NoiseReason.CRC, size, f"a frame of {plural(size - start, 'byte')}")
        if flags & _IQ_INVERTED and not _is_join_accept(phy_payload):
            return Noise(NoiseReason.DOWNLINK, size, f"a frame of {plural(size - start, 'byte')}")
        if flags & _FSK:
            snr_db = None
        if flags & (_NO_CRC | _IQ_INVERTED) or not flags & _CRC_OK:
            link = _LORAWAN
        cr = _CODING_RATES.get(coding_rate)
        gateway = gateway if eui == _NO_GATEWAY else eui.hex()
    rx = RxInfo(
        rssi_dbm,
        snr_db,
        sf if sf in SPREADING_FACTORS else None,
        bandwidth * 125.0 if bandwidth else None,
        cr,
        hz / 1_000_000 if hz else None,
    )
    return Frame(gateway, time_us, phy_payload, rx, link)


def build_loratap(frame: Frame, version: Literal[0, 1]) -> bytes:
    """Return a frame behind a LoRaTap header; what that cannot say is left open or rounded.

    RSSI has whole dBm, SNR quarters of a dB, bandwidth whole 125 kHz. Version 1 also has the coding rate,
    the gateway when its id is an EUI, and whether there was a CRC: not for a frame that only its MIC
    can speak for.
    """
    rx, phy_payload = frame.rx, frame.phy_payload
    has_lowcost_header = frame.link is Link.LOWCOST or phy_payload[:1] == bytes((lowcost.GATEWAY,))
    header = _V0.pack(
        0 if rx.freq_mhz is None else _within(rx.freq_mhz * 1_000_000, 0, 0xFFFF_FFFF),
        0 if rx.bw_khz is None or rx.bw_khz % 125 else _within(rx.bw_khz / 125, 0, 255),
        rx.sf or 0,
        _UNKNOWN,
        _UNKNOWN,
        _UNKNOWN if rx.rssi_dbm is None else _within(rx.rssi_dbm - _RSSI_BASE, 0, _UNKNOWN - 1),
        _UNKNOWN_SNR if rx.snr_db is None else _within(rx.snr_db * 4, _UNKNOWN_SNR + 1, 127),
        _PRIVATE if has_lowcost_header else _PUBLIC,
    )
    if version == 1:
        header += _V1.pack(
            bytes.fromhex(frame.gateway) if _is_eui(frame.gateway) else _NO_GATEWAY,
            frame.time_us & 0xFFFF_FFFF,
            _NO_CRC if frame.link is _LORAWAN else _CRC_OK,
            _CODING_RATE_NUMBERS.get(rx.cr or "", 0),
            *(0, 0, 0, 0),
        )
    return _START.pack(version, 0, _START.size + len(header)) + header + phy_payload


def _is_join_accept(phy_payload: bytes) -> bool:
    """Tell whether a downlink is a join-accept, the only one that uplinks depend on."""
    return len(phy_payload) in ACCEPT_SIZES and phy_payload[0] >> 5 == MType.JOIN_ACCEPT


def _packet_rssi(value: int, snr: int) -> float | None:
    if value == _UNKNOWN:
        return None
    return _RSSI_BASE + (value if snr >= 0 else value / 4)


def _within(number: float, low: int, high: int) -> int:
    return min(max(round(number), low), high)

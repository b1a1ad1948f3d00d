"""Tell measurements from what a payload says about the device or itself.

Identity, versions, what kind of message this is and its number, the payload once more, and the device's clock: they
are worth knowing and no measurement.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from lora_post.model import Value
from lora_post.results.meanings import words_of
from lora_post.results.rows import is_rows
from lora_post.results.times import is_time_name, read_time


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_IDENTITY: Final = _words("""
    id sn sno serial serial_no imei imsi iccid eui uuid mac mac_address model product manufacturer vendor brand
    part_number device device_name device_type dev_type devtype node_type device_address dev_addr product_code
    product_name product_type generic_model sensor_model
    """)
_VERSION: Final = _words("ver rev firmware hardware software fw hw sw fw_ver hw_ver firm_ver revision")
_MESSAGE: Final = _words("""
    type msg_type message_type packet_type frame_type payload_type report_type msg_id message message_name
    message_counter msg_counter msg_idx msg_cnt msg_num packet_counter packet_count packet_number packet_no packet_id
    frame_counter frame_count frame_number frame_no fcnt f_cnt seq seq_no seq_nr seq_num sequence sequence_number
    sequence_no
    uplink_counter decoding_info decoder codec
    cmd command seq_counter packet_seq_number pos_seq
    """)
_FRAME: Final = _words("f_port fport port payload_length payload_size message_length data_length length len")
_COPY: Final = _words("""
    raw_data raw_hex raw_bytes raw_payload payload payload_hex hex_payload payload_raw hex_data data_hex bytes
    buffer base64 raw_message raw_packet
    """)
_COPY_IN_TEXT: Final = _COPY | _words("raw raw_value")
_FRAME_SIZE: Final = 4
_EXACT: Final = _IDENTITY | _VERSION | _MESSAGE | _FRAME
_PART: Final = re.compile(
    r"(?:.*_)?(?:version|serial_number|serial_num|(?:dev|device|join|app|node|sensor)_?eui)(?:_.*)?"
)
_ID: Final = re.compile(
    r".+_(?:id|mac|ver|rev|model|manufacturer)|(?:device|dev|node|sensor)id|.*_?version|mac[0-9]?"
    r"|(?:mac|serial|fw|hw|sw|firmware)_.+|.*(?:msg|message|frame)_(?:count|counter)"
)
_PLACE: Final = re.compile(r"_[0-9]+\Z")


def is_about_device(name: str, value: Value) -> bool:
    """Tell whether a value is no measurement, by its name; a copy or a time only where the value can be one.

    Rows without times are none either: nothing tells when they were measured.
    """
    if _is_about(name):
        return True
    if isinstance(value, str):
        return _last_words(name) in _COPY_IN_TEXT or _is_clock(name) or is_rows(value)
    return _is_clock(name) and read_time(value) is not None


def is_copy(name: str, size: int) -> bool:
    """Tell whether so many bytes of this name are the payload once more; a few that are `raw` may be measured."""
    return _last_words(name) in (_COPY if size < _FRAME_SIZE else _COPY_IN_TEXT)


@lru_cache(maxsize=2048)
def _is_about(name: str) -> bool:
    words = _last_words(name)
    return words in _EXACT or bool(_PART.fullmatch(words) or _ID.fullmatch(words))


@lru_cache(maxsize=2048)
def _is_clock(name: str) -> bool:
    return is_time_name(name.rpartition(".")[2])


@lru_cache(maxsize=2048)
def _last_words(name: str) -> str:
    return _PLACE.sub("", words_of(name.rpartition(".")[2]))

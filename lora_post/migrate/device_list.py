"""Read a list of devices, whatever its form: CSV, JSON, QR codes, key files of LowCostLoRaGw."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from typing import Final

from lora_post.errors import ConfigError, Problem
from lora_post.migrate.csv_list import is_csv, read_csv
from lora_post.migrate.json_list import is_json, read_json
from lora_post.migrate.lowcost_keys import is_key_file, read_key_file
from lora_post.migrate.qr_code import is_qr_code, read_qr_code
from lora_post.migrate.records import DeviceList, Record, record_of

MAX_BYTES: Final = 64 << 20
"""A hundred thousand devices of The Things Stack; a larger file is something else."""


def read_device_list(data: bytes, file_name: str) -> DeviceList:
    """Return the devices of a file.

    file_name: tells LowCostLoRaGw's key_LoRaWAN.py from key_AES.py. Raises ConfigError for a file of another form.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{len(data) >> 20} MB are more than a list of devices has")
    text = decoded(data)
    if is_key_file(text):
        return read_key_file(text, is_lorawan="lorawan" in file_name.lower())
    if is_json(text):
        return read_json(text)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if any(is_qr_code(line) for _, line in lines[:1]):
        return _qr_codes(lines)
    if is_csv(text):
        return read_csv(text)
    raise ConfigError(
        "it is not a list of devices",
        fix="want CSV with a header line (dev_eui, join_eui, app_key …), JSON, QR codes, or key_LoRaWAN.py",
    )


def decoded(data: bytes) -> str:
    """Return the text of a file: UTF-8, what Excel calls Unicode text, else the old code page of Windows."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _qr_codes(lines: list[tuple[int, str]]) -> DeviceList:
    records: list[Record] = []
    mistakes: list[Problem] = []
    for number, line in lines:
        where = f"line {number}"
        try:
            fields = read_qr_code(line)
        except ConfigError as error:
            mistakes.append(error.problem.at(where))
            continue
        record = record_of(where, fields.items())
        if "app_key" in record.table:
            records.append(record)
        else:
            what = f"{record.place}: a QR code holds no AppKey"
            mistakes.append(Problem(what, "write it behind the code, after a blank"))
    return DeviceList(tuple(records), tuple(mistakes))

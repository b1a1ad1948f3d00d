"""The tables of the configuration file about devices; documented as in tables.py."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

Visibility = Literal["private", "public"]


class DeviceTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A device whose frames are accepted, once for each. Which keys it needs: [devices](devices.md).

    decoder: A name that `lora-post decoders` lists. Not needed with `decoder_by_fport` or a `[[decoder_rule]]`.
    decoder_by_fport: Decoders of single FPorts, as `{ 2 = "cayenne-lpp", 10 = "text" }`. Other FPorts go to `decoder`.
    options: Options of the decoder, if it has some.
    sensor: Changes to its readings: tables [`[[device.sensor]]`](#devicesensor).
    only: Send no sensors but these: names, or patterns as `["air.*", "battery"]`. Metadata that is named is sent, too.
    drop: Do not send these sensors, names or patterns as in `only`.
    actuator: How values for it are sent: tables [`[[device.actuator]]`](#deviceactuator).
    dev_eui: 16 hex digits: for joining, for `[[decoder_rule]]`, and alone for a device behind a network server.
    dev_addr: Of a LoRaWAN device that does not join, 8 hex digits.
    address: Of a device with LowCostLoRaGw's header, 2 to 255.
    nwk_skey: LoRaWAN 1.0's network session key, or LowCostLoRaGw's; 32 hex digits, as all keys.
    app_skey: The application session key.
    f_nwk_s_int_key: LoRaWAN 1.1's forwarding network session integrity key.
    s_nwk_s_int_key: LoRaWAN 1.1's serving network session integrity key.
    nwk_s_enc_key: LoRaWAN 1.1's network session encryption key.
    join_eui: Of a device that joins, 16 hex digits (older name: AppEUI).
    app_key: The root key of a device that joins.
    nwk_key: The second root key of a LoRaWAN 1.1 device that joins.
    lsc_key: The key of LowCostLoRaGw's light cipher.
    app_keys: LowCostLoRaGw's application keys, 8 hex digits each: frames need one of them. Default: not checked.
    fcnt: Which [frame counters](devices.md#frame-counters) are accepted.
    accept_half_mic: LoRaWAN 1.1: accept frames that acknowledge a downlink on half of their MIC.
    id: Its id on Waziup. Default: the gateway's id, `-`, and its address or DevEUI.
    name: Default: the id.
    visibility: As in `[gateway]`. Default: the gateway's.
    location: Where it is, as in `[gateway]`. Default: nothing is told.
    class: When it listens for [downlinks](downlinks.md): `"A"` after its uplinks, `"C"` always.
    moves: It has a receiver for positions: Waziup is told its place again when it has moved by more than 100 m.
    """

    decoder: str = ""
    decoder_by_fport: dict[str, str] = {}
    options: dict[str, object] = {}
    sensor: list[object] = []
    actuator: list[object] = []
    only: list[str] = []
    drop: list[str] = []
    dev_eui: str = ""
    dev_addr: str = ""
    address: int | None = None
    nwk_skey: str = ""
    nwk_skey_file: str = ""
    nwk_skey_env: str = ""
    app_skey: str = ""
    app_skey_file: str = ""
    app_skey_env: str = ""
    f_nwk_s_int_key: str = ""
    f_nwk_s_int_key_file: str = ""
    f_nwk_s_int_key_env: str = ""
    s_nwk_s_int_key: str = ""
    s_nwk_s_int_key_file: str = ""
    s_nwk_s_int_key_env: str = ""
    nwk_s_enc_key: str = ""
    nwk_s_enc_key_file: str = ""
    nwk_s_enc_key_env: str = ""
    join_eui: str = ""
    app_key: str = ""
    app_key_file: str = ""
    app_key_env: str = ""
    nwk_key: str = ""
    nwk_key_file: str = ""
    nwk_key_env: str = ""
    lsc_key: str = ""
    lsc_key_file: str = ""
    lsc_key_env: str = ""
    app_keys: list[str] = []
    fcnt: Literal["strict", "16bit", "restarts", "unchecked"] = "strict"
    accept_half_mic: bool = False
    id: str = ""
    name: str = ""
    visibility: Visibility | None = None
    location: list[int | float] = []
    device_class: Literal["A", "C"] = field(name="class", default="A")
    moves: bool = False


class SensorTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes to one sensor of the `[[device]]` above it, or to several alike.

    name: The sensor as its decoder calls it, `lora-post decode` shows it; or a pattern, as `"temperature_*"`: `*` is
    any text, `?` one character. A table with the whole name goes before patterns, an earlier pattern before later ones.
    rename: Its name on Waziup.
    drop: Do not send it; nothing else may stand beside this.
    scale: A number becomes number × scale + offset; so does every number inside an object or a list.
    offset: See `scale`.
    calibrate: Two or more points `[raw, true]`, in place of `scale` and `offset`, joined by lines; the outermost go on.
    unit: The unit of the changed value, `""` for none. Nothing is converted.
    quantity: What is measured, from Waziup's list. Default: the name tells.
    deadband: [Leave out](upload.md#leaving-readings-out) a value this close to the last one kept.
    min_interval: Leave out what comes sooner after the last one kept: `"90s"`, `"5min"`, `"1h"`.
    max_interval: After so long keep a value in spite of `deadband`.
    """

    name: str
    rename: str | None = None
    drop: bool = False
    scale: int | float = 1
    offset: int | float = 0
    calibrate: list[tuple[int | float, int | float]] = []
    unit: str | None = None
    quantity: str | None = None
    deadband: int | float | None = None
    min_interval: str = ""
    max_interval: str = ""


class ActuatorTable(Struct, frozen=True, forbid_unknown_fields=True):
    """How values that are set on Waziup for one actuator of the `[[device]]` above it are sent to it.

    name: The actuator's id on Waziup.
    payloads: The bytes of some values, as `{ true = "0101", false = "0100" }`. Its decoder encodes others.
    port: The FPort, 1 to 223. Default: as the encoder says.
    confirmed: The device is to acknowledge them.
    expires: They are not sent later than this after they were set: `"10min"`, `"1d"`.
    """

    name: str
    payloads: dict[str, str] = {}
    port: int | None = None
    confirmed: bool = False
    expires: str = "1d"


class DecoderRuleTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The decoder of devices with a `dev_eui` and no `decoder`. The longest prefix wins.

    dev_eui_prefix: What their DevEUI begins with, 1 to 16 hex digits.
    decoder: Their decoder.
    """

    dev_eui_prefix: str
    decoder: str

"""The tables of the configuration file about devices; documented as in tables.py."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

Visibility = Literal["private", "public"]


class DeviceTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A device whose frames are accepted. Which keys it needs: [devices](devices.md).

    decoder: A name of `lora-post decoders`. Not needed with `decoder_by_fport` or a `[[decoder_rule]]`.
    decoder_by_fport: Decoders of FPorts, as `{ 2 = "cayenne-lpp" }`. Others go to `decoder`.
    options: Of the decoder.
    sensor: [Below](#devicesensor).
    only: Send only these [sensors](decoders.md#change-what-a-decoder-gives), as `["air.*", "battery"]`.
    drop: Do not send these sensors, as in `only`.
    actuator: [Below](#deviceactuator).
    dev_eui: 16 hex digits. Alone for a device behind a network server.
    dev_addr: Of a LoRaWAN device that does not join, 8 hex digits.
    address: Of a device with LowCostLoRaGw's header, 2 to 255.
    nwk_skey: LoRaWAN 1.0 and LowCostLoRaGw: network session key; 32 hex digits, as all keys.
    app_skey: Application session key.
    f_nwk_s_int_key: LoRaWAN 1.1: FNwkSIntKey.
    s_nwk_s_int_key: LoRaWAN 1.1: SNwkSIntKey.
    nwk_s_enc_key: LoRaWAN 1.1: NwkSEncKey.
    join_eui: Of a device that joins, 16 hex digits (older name: AppEUI).
    app_key: Root key of a device that joins.
    nwk_key: Its second root key, LoRaWAN 1.1.
    lsc_key: Of LowCostLoRaGw's light cipher.
    app_keys: LowCostLoRaGw's application keys, 8 hex digits each; frames need one of them.
    dev_nonce: `"new"`: a DevNonce joins once. `"any"`: also [again](devices.md#joining-otaa), for boards that forget.
    fcnt: Which [frame counters](devices.md#frame-counters) it accepts.
    accept_half_mic: [LoRaWAN 1.1](devices.md#lorawan-11): half of the MIC is enough for acknowledgements.
    id: Its id on Waziup. Default: the gateway's, `-`, address or DevEUI.
    name: Default: the id.
    visibility: As in `[gateway]`. Default: the gateway's.
    location: As in `[gateway]`.
    class: When it listens for [downlinks](downlinks.md): `"A"` after its uplinks, `"C"` always.
    adr: [Set](downlinks.md#what-devices-are-told) its data rate and power by how it is heard.
    dev_status_every: How often to ask for its battery, as `"1d"`.
    moves: Waziup is told [its place](devices.md#name-place-and-visibility) after each 100 m.
    home: The gateway of a fleet that [decides about it alone](fleet.md#home-gateways), by its id.
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
    dev_nonce: Literal["new", "any"] = "new"
    id: str = ""
    name: str = ""
    visibility: Visibility | None = None
    location: list[int | float] = []
    device_class: Literal["A", "C"] = field(name="class", default="A")
    adr: bool = False
    dev_status_every: str = ""
    moves: bool = False
    home: str = ""


class SensorTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes to one sensor of the `[[device]]` above it, or to several alike.

    name: As its decoder calls it, or a pattern as `"temperature_*"`: `*` is any text, `?` one character. A whole name
        goes before patterns, an earlier pattern before later ones.
    rename: Its name on Waziup.
    drop: Do not send it; alone.
    scale: A number becomes number × scale + offset.
    offset: The same.
    calibrate: In place of these: two or more points `[raw, true]`, joined by lines; the outermost go on.
    unit: Its unit, `""` for none. Nothing is converted.
    quantity: From Waziup's list. Default: by the name.
    deadband: [Leave out](upload.md#leaving-readings-out) what is this close to the last one kept.
    min_interval: Leave out what comes sooner after that: `"90s"`, `"5min"`.
    max_interval: After so long keep it in spite of `deadband`.
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
    """How [values that are set on Waziup](downlinks.md#values-that-are-set-on-waziup) are sent to the `[[device]]`
    above it.

    name: Its id on Waziup.
    payloads: Bytes of values, as `{ true = "0101", false = "0100" }`. The decoder encodes others.
    port: FPort, 1 to 223. Default: the encoder's.
    confirmed: The device is to acknowledge.
    expires: How long after it was set it may be sent.
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

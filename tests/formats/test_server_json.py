from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.config import parse_config
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.errors import ConfigError
from lora_post.metrics import Metrics
from lora_post.model import ClearUplink, Link, Noise
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Refusal, Report
from lora_post.uplink.outcome import Outcome
from tests.support.build import device
from tests.support.parsers import NOW_US, assert_any_cut_gives_the_same, assert_events_are_sound, capture, events_of

EUI = "02aabbccddeeff01"
TIME = "2024-05-14T08:15:30.123456Z"
BEHIND = device("pond-1", link=Link.SERVER, address=int(EUI, 16), keys=None)


def chirpstack(**changes: object) -> bytes:
    event: dict[str, object] = {
        "time": TIME,
        "deviceInfo": {"devEui": EUI},
        "devAddr": "02345678",
        "fCnt": 4,
        "fPort": 2,
        "data": "A2cBEAVnAP8=",
        "object": {"never": "looked at"},
        "rxInfo": [{"gatewayId": "b827ebfffe112233", "rssi": -57, "snr": 8.2}],
    }
    return json.dumps(event | changes).encode() + b"\n"


def ttn(**changes: object) -> bytes:
    up: dict[str, object] = {"received_at": TIME, "f_cnt": 4, "f_port": 2, "frm_payload": "A2cBEAVnAP8="}
    return json.dumps({"end_device_ids": {"dev_eui": EUI.upper()}, "uplink_message": up | changes}).encode() + b"\n"


def only(name: str, line: bytes) -> ClearUplink:
    (event,) = events_of(name, [line])
    assert isinstance(event, ClearUplink), event
    return event


def test_both_servers_tell_the_same_of_the_same_uplink() -> None:
    one, other = only("chirpstack", chirpstack(rxInfo=[])), only("ttn", ttn())
    assert one == other
    assert (one.dev_eui, one.fcnt, one.fport, one.payload.hex()) == (int(EUI, 16), 4, 2, "03670110056700ff")


def test_uplink_is_told_as_the_best_gateway_heard_it() -> None:
    lora = {"bandwidth": 125000, "spreadingFactor": 7, "codeRate": "CR_4_5"}
    heard = [
        {"gatewayId": "aaaaaaaaaaaaaaaa", "rssi": -120, "snr": -9},
        {"gatewayId": "BBBBBBBBBBBBBBBB", "rssi": -57},
        "strange",
        {"gatewayId": "cccccccccccccccc", "rssi": -109, "snr": -0.5},
    ]
    info = {"frequency": 868500000, "modulation": {"lora": lora}}
    frame = only("chirpstack", chirpstack(rxInfo=heard, txInfo=info)).frame
    rx = frame.rx
    assert (frame.gateway, rx.rssi_dbm, rx.snr_db) == ("b" * 16, -57, 0)
    assert (rx.sf, rx.bw_khz, rx.cr, rx.freq_mhz) == (7, 125.0, "4/5", 868.5)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"time": None}, "no time of reception"),
        ({"time": "yesterday"}, "no time of reception"),
        ({"fCnt": -1}, "no frame counter"),
        ({"fCnt": 2**32}, "no frame counter"),
        ({"fCnt": True}, "no frame counter"),
        ({"fPort": 256}, "no FPort"),
        ({"data": "A!"}, "not base64"),
        ({"data": 5}, "the payload is not a text"),
        ({"data": "AAAA" * 100}, "300 bytes of payload"),
        ({"deviceInfo": {"devEui": "xy"}}, "an uplink without DevEUI"),
        ({"deviceInfo": None}, "is it an event of ChirpStack 4?"),
        ({"joinServerContext": {"sessionKeyId": "1"}}, "still encrypted"),
    ],
)
def test_uplink_of_no_use_is_noise_that_says_why(changes: dict[str, object], detail: str) -> None:
    (event,) = events_of("chirpstack", [chirpstack(**changes)])
    assert isinstance(event, Noise) and detail in event.detail


def test_encrypted_payload_of_the_things_stack_is_not_taken_for_a_clear_one() -> None:
    (event,) = events_of("ttn", [ttn(app_s_key={"kek_label": "x"})])
    assert isinstance(event, Noise) and "still encrypted" in event.detail


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chirpstack", {"time": TIME, "deviceInfo": {"devEui": EUI}, "devAddr": "02345678"}),
        ("chirpstack", {"time": TIME, "deviceInfo": {"devEui": EUI}, "level": "ERROR", "code": "UPLINK_F_CNT_RESET"}),
        ("chirpstack", {"devEui": EUI, "confirmed": False, "fPort": 10, "data": "AQ=="}),
        ("ttn", {"end_device_ids": {"dev_eui": EUI}, "join_accept": {}}),
        ("ttn", {"end_device_ids": {"dev_eui": EUI}, "downlink_queued": {"f_port": 1}}),
        ("ttn", {"downlinks": [{"f_port": 1, "frm_payload": "AQ=="}]}),
    ],
)
def test_other_messages_are_passed_over(name: str, message: object) -> None:
    assert events_of(name, [json.dumps(message).encode() + b"\n"]) == []


@pytest.mark.parametrize("name", ["chirpstack", "ttn"])
@given(data=st.data())
def test_stream_may_be_cut_anywhere(name: str, data: st.DataObject) -> None:
    stream = capture(f"{name}_up.{name}")[:6000]
    assert_any_cut_gives_the_same(name, stream, data)


KEYS = (
    st.sampled_from(
        ["deviceInfo", "devEui", "time", "fCnt", "fPort", "data", "rxInfo", "txInfo", "rssi", "snr", "frequency"]
    )
    | st.sampled_from(
        [
            "modulation",
            "lora",
            "bandwidth",
            "codeRate",
            "gatewayId",
            "end_device_ids",
            "dev_eui",
            "uplink_message",
            "f_cnt",
        ]
    )
    | st.sampled_from(
        ["received_at", "f_port", "frm_payload", "rx_metadata", "settings", "data_rate", "gateway_ids", "eui"]
    )
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([EUI, TIME, "AQ=="]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=8), st.dictionaries(KEYS, VALUES, max_size=8))
def test_any_json_is_harmless(top: dict[str, object], inner: dict[str, object]) -> None:
    for name, line in (("chirpstack", chirpstack(**top)), ("ttn", ttn(**inner)), ("ttn", json.dumps(top).encode())):
        events = events_of(name, [line])
        assert_events_are_sound(event for event in events if isinstance(event, Noise))


@given(st.binary(max_size=300))
def test_any_bytes_are_harmless(data: bytes) -> None:
    for name in ("chirpstack", "ttn"):
        assert_events_are_sound(event for event in events_of(name, [b"{" + data, b"\n"]) if isinstance(event, Noise))


class Site:
    """A pipeline into a spool that can be opened again."""

    def __init__(self, folder: Path) -> None:
        self.store = SpoolFile(folder / "spool.db")
        self.outcomes: list[Outcome] = []
        self.metrics = Metrics()
        ledger = SpoolLedger(self.store, [BEHIND], QueueWriter(self.store, ["waziup"], 1 << 30))
        decode = Decoding([BEHIND], load_folder(shipped_folder()).decoders).decode
        self.pipeline = Pipeline(ledger, decode, self.metrics, self.outcomes.append)

    def take(self, *lines: bytes) -> None:
        self.pipeline.handle(events_of("chirpstack", lines))

    @property
    def queued(self) -> int:
        return Queue(self.store, "waziup").counts().queued


def test_uplink_that_the_server_sends_again_is_not_doubled_even_after_a_restart(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.take(chirpstack(), chirpstack())
    assert site.queued == 2 and site.metrics.labels("refused") == {"repeat": 1}
    site.store.close()
    again = Site(tmp_path)
    again.take(chirpstack())
    assert again.queued == 2 and again.metrics.labels("refused") == {"repeat": 1}
    again.store.close()


def test_counter_that_starts_again_after_a_rejoin_is_taken(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.take(
        chirpstack(fCnt=900),
        chirpstack(fCnt=0, time="2024-05-14T08:15:31Z"),
        chirpstack(fCnt=0, time="2024-05-14T08:15:32Z", data="A2cBEQVnAP8="),
    )
    assert [outcome.uplink.fcnt for outcome in site.outcomes if isinstance(outcome, Report)] == [900, 0, 0]
    assert site.queued == 6
    site.store.close()


def test_unknown_device_is_refused_with_the_lines_that_let_it_in(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.take(chirpstack(deviceInfo={"devEui": "02aabbccddeeff77"}))
    (refusal,) = site.outcomes
    assert isinstance(refusal, Refusal) and 'dev_eui = "02aabbccddeeff77"' in refusal.fix
    assert refusal.check == "unknown-device"
    site.store.close()


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (f'dev_eui = "{EUI}"\nnwk_skey = "{"00" * 16}"\napp_skey = "{"00" * 16}"', "keys need a dev_addr"),
        (f'dev_eui = "{EUI}"\napp_keys = ["01020304"]', "app_keys: only devices with `address`"),
        (
            f'dev_eui = "{EUI}"\n[[device]]\ndecoder = "text"\ndev_eui = "{EUI}"\nid = "b"',
            "is also that of [[device]] number",
        ),
        ('dev_eui = "12"', "dev_eui is '12'; it must be 16 hex digits"),
    ],
)
def test_mistake_in_a_device_behind_a_server_is_told(table: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint.replace("[", r"\[")):
        parse_config(f'[gateway]\nid = "gw1"\n[[device]]\ndecoder = "text"\n{table}\n', Path("x.toml"), {})


def test_time_of_arrival_plays_no_part() -> None:
    assert only("chirpstack", chirpstack()).frame.time_us != NOW_US

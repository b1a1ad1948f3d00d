"""Commands for devices, from the queue to what is sent and what becomes of it, with a real spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.command import MAX_STEPS, Command, Fate, Moment, Sealed, age_s, is_late
from lora_post.downlink.commands import MAX_SILENT_TRIES, MAX_TRIES, repeatable
from lora_post.downlink.transmit import Downlink
from lora_post.errors import SpoolError
from lora_post.lorawan.phy_payload import DataFrame, MType, parse_data_frame
from lora_post.lorawan.session_keys import DOWNLINK, SessionKeys11
from lora_post.spool import downlinks
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.upkeep import raise_down_counters
from tests.support.build import KEYS, device
from tests.support.forwarder import JoiningDevice
from tests.support.network_site import Site, otaa
from tests.support.seal import ROOT_10, ROOT_11, seal_11
from tests.support.uplinks import ACK, DEV_ADDR, up

PENDING = 0x10


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "spool.db", device())
    yield site
    site.store.close()


def opened(downlink: Downlink) -> tuple[DataFrame, bytes]:
    """A downlink taken apart, its MIC right, and its payload in clear."""
    data = parse_data_frame(downlink.phy_payload)
    assert data.mic == KEYS.downlink_mic(DEV_ADDR, data.fcnt16, data.signed)
    return data, KEYS.crypt(DEV_ADDR, data.fcnt16, DOWNLINK, data.fport or 0, data.frm_payload)


def texts(command: Command) -> list[str]:
    return [step.text for step in command.steps]


def test_command_goes_with_the_answer_to_the_next_uplink(site: Site) -> None:
    number = site.queue(payload=b"on")
    site.hear(up(0, confirmed=True, fopts=b"\x02"))
    (downlink,) = site.gateway.sent
    data, payload = opened(downlink)
    assert (data.mtype, data.fctrl & 0xF0, data.fport, payload) == (MType.UNCONFIRMED_DOWN, ACK, 7, b"on")
    assert data.fopts[0] == 2 and [each.name for each in downlink.windows] == ["RX1", "RX2"]
    assert site.command(number).fate is Fate.QUEUED and site.command(number).is_open
    site.tell(downlink)
    command = site.command(number)
    assert (command.fate, command.gateway, command.window) == (Fate.SENT, "gw1", "RX1")
    assert texts(command) == ["sent by gateway gw1 in RX1"]
    site.hear(up(1))
    assert len(site.gateway.sent) == 1
    assert site.metrics.labels("commands") == {"sent": 1}


def test_commands_go_one_by_one_in_their_order_and_the_device_is_told_that_more_wait(site: Site) -> None:
    for payload in (b"1", b"2", b"3"):
        site.queue(payload=payload)
    for fcnt in range(4):
        site.hear(up(fcnt))
        if fcnt < 3:
            site.tell(site.gateway.sent[-1])
    found = [opened(each) for each in site.gateway.sent]
    assert [payload for _, payload in found] == [b"1", b"2", b"3"]
    assert [data.fctrl & PENDING for data, _ in found] == [PENDING, PENDING, 0]
    assert [data.fcnt16 for data, _ in found] == [0, 1, 2]


def test_newer_value_of_an_actuator_takes_the_place_of_an_unsent_one(site: Site) -> None:
    old, other = site.queue(payload=b"0", actuator="valve"), site.queue(payload=b"x", actuator="lamp")
    new = site.queue(payload=b"1", actuator="valve")
    assert site.command(old).fate is Fate.CANCELLED and texts(site.command(old)) == [f"replaced by command {new}"]
    for fcnt in range(2):
        site.hear(up(fcnt))
        site.tell(site.gateway.sent[-1])
    assert [opened(each)[1] for each in site.gateway.sent] == [b"x", b"1"]
    assert site.command(other).fate is Fate.SENT


def test_value_that_is_refused_leaves_the_older_one(site: Site) -> None:
    older = site.queue(payload=b"0", actuator="valve")
    site.queue(actuator="valve", fate=Fate.REFUSED)
    assert site.command(older).fate is Fate.QUEUED


def test_what_became_of_a_value_is_a_reading(site: Site) -> None:
    site.queue(actuator="valve", is_confirmed=True)
    site.hear(up(0))
    site.tell(site.gateway.sent[-1])
    site.hear(up(1, flags=ACK))
    rows = site.store.rows("SELECT name, value FROM reading JOIN lane ON lane.id = lane ORDER BY time_us")
    assert rows == [("valve_state", b'"sent"'), ("valve_state", b'"acknowledged"')]


def test_command_that_is_refused_by_the_gateway_goes_again_with_the_same_bytes(site: Site) -> None:
    number = site.queue()
    site.hear(up(0))
    site.tell(site.gateway.sent[-1], is_sent=False, why="the gateway refused it (TX_ACK): TOO_LATE")
    command = site.command(number)
    assert (command.fate, command.tries) == (Fate.QUEUED, 0)
    assert texts(command) == ["not sent by gateway gw1 in RX1: the gateway refused it (TX_ACK): TOO_LATE"]
    site.start()  # another run
    site.hear(up(1))
    first, second = site.gateway.sent
    assert first.phy_payload == second.phy_payload


def test_other_bytes_have_another_counter(site: Site) -> None:
    site.queue()
    site.hear(up(0))
    site.tell(site.gateway.sent[-1], is_sent=False)
    site.hear(up(1, confirmed=True))
    first, second = map(opened, site.gateway.sent)
    assert (first[0].fcnt16, second[0].fcnt16) == (0, 1) and first[1] == second[1]


def test_gateway_that_does_not_say_gets_the_same_bytes_again_and_not_for_ever(site: Site) -> None:
    number = site.queue()
    for fcnt in range(MAX_SILENT_TRIES + 2):
        site.hear(up(fcnt))
        site.pipeline.tend()
    assert len(site.gateway.sent) == MAX_SILENT_TRIES
    assert len({each.phy_payload for each in site.gateway.sent}) == 1
    assert site.command(number).fate is Fate.SENT
    assert texts(site.command(number))[-1] == "perhaps sent: its gateway did not say"


def test_confirmed_command_is_acknowledged_by_the_next_uplink(site: Site) -> None:
    number = site.queue(is_confirmed=True)
    site.hear(up(0))
    site.tell(site.gateway.sent[-1])
    assert opened(site.gateway.sent[-1])[0].mtype is MType.CONFIRMED_DOWN
    assert site.command(number).fate is Fate.SENT
    site.hear(up(1, flags=ACK))
    assert site.command(number).fate is Fate.ACKNOWLEDGED
    assert len(site.gateway.sent) == 1
    assert site.metrics.labels("commands") == {"acknowledged": 1, "sent": 1}


def test_confirmed_command_is_repeated_with_the_same_bytes_and_then_given_up(site: Site) -> None:
    number, after = site.queue(is_confirmed=True), site.queue(payload=b"after", is_confirmed=True)
    for fcnt in range(MAX_TRIES):
        site.hear(up(fcnt))
        site.tell(site.gateway.sent[-1])
    assert len({each.phy_payload for each in site.gateway.sent}) == 1 and len(site.gateway.sent) == MAX_TRIES
    site.hear(up(MAX_TRIES))
    command = site.command(number)
    assert command.fate is Fate.NOT_ACKNOWLEDGED
    assert texts(command)[-1] == f"not acknowledged, though it was sent {MAX_TRIES} times"
    data, payload = opened(site.gateway.sent[-1])
    assert (data.fcnt16, payload) == (1, b"after")
    assert site.command(after).fate is Fate.QUEUED


def test_confirmed_command_is_sealed_anew_when_the_device_wants_an_answer_beside_it(site: Site) -> None:
    site.queue(is_confirmed=True)
    site.hear(up(0))
    site.tell(site.gateway.sent[-1])
    site.hear(up(1, confirmed=True))
    found = [opened(each) for each in site.gateway.sent]
    assert [data.fcnt16 for data, _ in found] == [0, 1]
    assert [data.fctrl & ACK for data, _ in found] == [0, ACK]


def test_repeated_uplink_gets_the_same_bytes_with_its_acknowledgement(site: Site) -> None:
    site.queue(is_confirmed=True)
    site.hear(up(0, confirmed=True))
    site.tell(site.gateway.sent[-1])
    assert site.hear(up(0, confirmed=True), after_us=5_000_000) == "repeat"
    first, second = site.gateway.sent
    assert first.phy_payload == second.phy_payload


def test_recording_of_the_newest_uplink_uses_up_no_command_that_is_not_acknowledged(site: Site) -> None:
    newest = up(0, confirmed=True)
    site.hear(newest)
    number = site.queue(payload=b"on")
    for again in range(1, 4):
        assert site.hear(newest, after_us=again * 5_000_000) == "repeat"
        data, payload = opened(site.gateway.sent[-1])
        assert (data.fctrl & (ACK | PENDING), data.fcnt16, payload) == (ACK | PENDING, again, b"")
        site.tell(site.gateway.sent[-1])
    assert site.command(number).fate is Fate.QUEUED and site.command(number).tries == 0
    site.hear(up(1))
    assert opened(site.gateway.sent[-1])[1] == b"on"


def test_frame_that_tells_the_time_is_not_sent_later(site: Site) -> None:
    site.queue()
    site.hear(up(0, fopts=b"\x0d"))
    site.tell(site.gateway.sent[-1], is_sent=False)
    site.hear(up(1))
    (first, _), (second, _) = map(opened, site.gateway.sent)
    assert first.fopts[0] == 0x0D and second.fopts == b"" and (first.fcnt16, second.fcnt16) == (0, 1)


def test_command_that_fits_one_window_goes_in_that_one(site: Site) -> None:
    number = site.queue(payload=bytes(100))
    site.hear(up(0))
    (downlink,) = site.gateway.sent
    assert [each.name for each in downlink.windows] == ["RX1"]  # SF12 in RX2 carries 51
    site.tell(downlink)
    assert site.command(number).fate is Fate.SENT


def test_command_that_is_too_long_waits_and_lets_others_pass(site: Site) -> None:
    number, short = site.queue(payload=bytes(243)), site.queue(payload=b"on")
    site.hear(up(0))
    site.tell(site.gateway.sent[-1])
    assert site.command(short).fate is Fate.SENT
    assert opened(site.gateway.sent[-1])[0].fctrl & PENDING == 0
    assert texts(site.command(number)) == [
        "not sent: 243 bytes, MAC commands included, and SF7BW125 in RX1 and SF12BW125 in RX2 carry 242"
    ]
    site.hear(up(1, confirmed=True))
    assert opened(site.gateway.sent[-1])[0].fport is None  # acknowledged all the same
    assert len(site.command(number).steps) == 1


def test_mac_answers_go_first_when_both_do_not_fit(site: Site) -> None:
    number = site.queue(payload=bytes(242))
    site.hear(up(0, fopts=b"\x02"))
    data, _ = opened(site.gateway.sent[-1])
    assert data.fport is None and data.fopts[0] == 2 and data.fctrl & PENDING
    site.hear(up(1))
    assert opened(site.gateway.sent[-1])[1] == bytes(242)
    assert site.command(number).is_open


def test_duty_cycle_is_kept_and_told(site: Site) -> None:
    for fcnt in range(120):
        site.queue(payload=bytes(242), actuator="screen")
        site.hear(up(fcnt), after_us=1)
        site.tell(site.gateway.sent[-1])
    assert len(site.gateway.sent) < 120
    with closing(SpoolFile(site.store.path)) as other:
        waiting = downlinks.look_for_waiting(other)
    assert texts(waiting[0])[-1].startswith("not sent: the duty cycle of gateway gw1 is used up until 1")


def test_gateway_that_cannot_send_is_told_of(site: Site) -> None:
    number = site.queue()
    site.gateway.now = None
    site.hear(up(0))
    site.hear(up(1), tmst=None)
    assert texts(site.command(number)) == ["not sent: gateway gw1, which heard the device, cannot send"]
    site.pipeline = site.pipeline.taking(site.pipeline._times)
    site.hear(up(2))
    assert len(site.command(number).steps) == 1 and site.gateway.sent == []


def test_command_that_is_late_is_not_sent(site: Site) -> None:
    number, confirmed = site.queue(life_s=50.0), site.queue(is_confirmed=True, life_s=100.0)
    site.hear(up(0), after_us=60_000_000)
    assert site.command(number).fate is Fate.EXPIRED
    site.tell(site.gateway.sent[-1])
    assert site.command(confirmed).fate is Fate.SENT
    site.time_us += 60_000_000
    site.pipeline.tend()
    assert site.command(confirmed).fate is Fate.NOT_ACKNOWLEDGED


def test_age_goes_by_the_time_since_boot_as_long_as_that_is_the_same() -> None:
    year_us = 365 * 86_400 * 1_000_000
    made = Moment(60 * year_us, "a", 1_000_000)
    assert age_s(made, Moment(3 * year_us, "a", 11_000_000)) == 10.0
    assert age_s(made, Moment(60 * year_us + 5_000_000, "b", 1)) == 5.0
    assert age_s(made, Moment(3 * year_us, "b", 1)) is None
    command = Command("pond-7", 1, b"", made, life_s=10.0)
    assert is_late(command, Moment(0, "a", 11_000_000)) and not is_late(command, Moment(3 * year_us, "b", 1))


def test_device_with_a_new_session_gets_what_waits_sealed_anew(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_10))
    end = JoiningDevice(ROOT_10)
    site.join(end)
    number = site.queue("buoy", is_confirmed=True)
    site.hear(end.uplink(b"x"))
    site.tell(site.gateway.sent[-1])
    assert parse_data_frame(site.gateway.sent[-1].phy_payload).fcnt16 == 0
    site.join(end)
    site.hear(end.uplink(b"x"))
    data = parse_data_frame(site.gateway.sent[-1].phy_payload)
    assert end.accept and (data.dev_addr, data.fcnt16) == (end.accept.dev_addr, 0)
    end.commands(site.gateway.sent[-1].phy_payload)  # its MIC is right
    assert site.command(number).tries == 2
    site.store.close()


def test_1_1_has_a_counter_of_its_own_for_applications(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_11))
    end = JoiningDevice(ROOT_11)
    site.join(end)
    site.hear(end.uplink(b"x", fopts=b"\x0b\x01"))
    site.queue("buoy")
    site.hear(end.uplink(b"x", fopts=b"\x02"))
    first, second = (parse_data_frame(each.phy_payload) for each in site.gateway.sent[-2:])
    assert (first.fport, first.fcnt16, second.fport, second.fcnt16) == (None, 0, 7, 0)
    assert isinstance(end.keys, SessionKeys11)
    assert second.mic == end.keys.downlink_mic(second.dev_addr, 0, second.signed)
    assert end.keys.crypt(second.dev_addr, 0, DOWNLINK, 7, second.frm_payload) == b"on"
    assert end.keys.crypt_fopts(second.dev_addr, 0, second.fopts, DOWNLINK, 7)[0] == 2
    site.store.close()


def test_1_1_device_acknowledges_with_the_counter_of_the_downlink(tmp_path: Path) -> None:
    site = Site(tmp_path / "spool.db", otaa(ROOT_11))
    end = JoiningDevice(ROOT_11)
    site.join(end)
    site.hear(end.uplink(b"x"))
    site.queue("buoy")
    number = site.queue("buoy", is_confirmed=True)
    for _ in range(2):
        site.hear(end.uplink(b"x"))
        site.tell(site.gateway.sent[-1])
    assert isinstance(end.keys, SessionKeys11) and end.accept
    acknowledging = seal_11(end.keys, end.accept.dev_addr, end.fcnt, 2, b"x", flags=ACK, conf_fcnt=1)
    assert site.hear(acknowledging) == "uplink"
    assert site.command(number).fate is Fate.ACKNOWLEDGED
    site.store.close()


def test_counter_is_raised_by_hand_and_never_lowered(site: Site) -> None:
    site.queue()
    site.hear(up(0))
    with closing(SpoolFile(site.store.path)) as other:
        for fcnt in (70_000, 5):
            assert raise_down_counters(other, site.devices[0], fcnt)
        assert not raise_down_counters(other, otaa(ROOT_10), 5)
    site.hear(up(1, confirmed=True))
    data = parse_data_frame(site.gateway.sent[-1].phy_payload)
    assert data.fcnt16 == 70_000 & 0xFFFF and data.mic == KEYS.downlink_mic(DEV_ADDR, 70_000, data.signed)


def test_too_many_are_refused_and_old_ones_forgotten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(downlinks.MAX_WAITING):
        site.queue()
    with pytest.raises(SpoolError, match="64 commands wait for pond-7 already"):
        site.queue()
    site.queue("other")
    monkeypatch.setattr(downlinks, "KEEP_OVER", 3)
    with site.store.transaction() as db:
        commands = downlinks.load_waiting(db)
        downlinks.save(db, [each.ended(site.now(), Fate.CANCELLED) for each in commands[:10]])
    assert site.queue() == downlinks.MAX_WAITING + 2
    assert [each.id for each in downlinks.load(site.store, limit=100)][:4] == [8, 9, 10, 11]


def test_command_that_cannot_be_read_is_left_out(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    damaged, whole = site.queue(), site.queue(payload=b"whole")
    with site.store.transaction() as db:
        db.execute("UPDATE downlink SET command = x'7b' WHERE id = ?", (damaged,))
    site.hear(up(0))
    assert opened(site.gateway.sent[-1])[1] == b"whole"
    assert f"command {damaged} cannot be read" in caplog.text and site.command(whole)


def test_steps_are_bounded() -> None:
    command = Command("pond-7", 1, b"", Moment(0, "", 0))
    for number in range(2 * MAX_STEPS):
        command = command.with_step(Moment(number, "", 0), str(number)).with_step(Moment(0, "", 0), str(number))
    assert texts(command) == [str(number) for number in range(MAX_STEPS, 2 * MAX_STEPS)]


@pytest.mark.parametrize(
    ("acked_before", "acked_now", "goes_again"),
    [(None, None, {"1.0", "1.1"}), (5, 5, {"1.0", "1.1"}), (5, None, {"1.0"}), (None, 6, set()), (5, 6, set())],
)
def test_frame_goes_again_where_the_device_believes_it(
    acked_before: int | None, acked_now: int | None, goes_again: set[str]
) -> None:
    """In LoRaWAN 1.1 the MIC covers which uplink is acknowledged; `tests.answered` found it."""
    sealed = Sealed("session", 3, b"frame", acked_before)
    command = Command("pond-7", 7, b"on", Moment(0, "boot", 0), sealed=sealed)
    for version in ("1.0", "1.1"):
        found = repeatable(command, "session", 3, acked_now, is_11=version == "1.1")
        assert (found is sealed) is (version in goes_again)

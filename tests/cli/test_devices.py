"""`lora-post devices`: two hundred in one command, one in a minute, nothing half written."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from lora_post.config import load_config
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import COMMAND, PATIENCE_S, run
from tests.support.in_process import Ran, lora_post

NWK, APP = "000102030405060708090a0b0c0d0e0f", "101112131415161718191a1b1c1d1e1f"
KEYS = SessionKeys(bytes.fromhex(NWK), bytes.fromhex(APP))
ROOT = RootKeys(0x0102030405060708, 0x70B3D57ED0019A7C, bytes.fromhex(NWK))
WARM = bytes.fromhex("006700e1")


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert lora_post("init", "lora-post.toml", "--url", "stdin:", "--format", "lines", "--gateway-id", "gw1").code == 0
    return tmp_path / "lora-post.toml"


AS_BEHIND_SERVER = "without keys, as behind a network server that decrypts the frames; for one that joins here"


def hear(*frames: bytes) -> None:
    """Let a real run hear these frames."""
    stdin = "".join(f"{frame.hex()}\n" for frame in frames).encode()
    ran = run("run", "-q", "--status", "127.0.0.1:0", stdin=stdin)
    assert ran.returncode == 0, ran.stderr


def sent(fcnt: int, keys: SessionKeys = KEYS, dev_addr: int = 0x26011BDA) -> bytes:
    return seal_lorawan(keys, dev_addr, fcnt, 2, WARM)


def request(root: RootKeys = ROOT) -> bytes:
    message = b"\0" + root.join_eui.to_bytes(8, "little") + root.dev_eui.to_bytes(8, "little") + b"\x17\xa0"
    return message + root.request_mic(message)


def devices(*arguments: object) -> Ran:
    return lora_post("devices", *arguments)


def add(*arguments: object) -> Ran:
    return devices("add", *arguments)


def ids() -> list[str]:
    return [device.id for device in load_config(Path("lora-post.toml"), {}).devices]


def test_stranger_becomes_a_device_whose_kept_frames_are_read() -> None:
    hear(sent(17), sent(18))
    assert "26011bda  2 frames" in devices().out
    ran = add("26011bda", "--nwk-skey", NWK, "--app-skey", APP, "--decoder", "CayenneLPP", "--id", "pond")
    assert ran.code == 0, ran.err
    assert "FCnt 17; with cayenne-lpp it reads temperature_0 22.5 °C" in ran.out
    assert "added     pond to devices.toml" in ran.out
    assert "ok        pond: these keys open the frame of" in devices("test").out
    hear(sent(18), sent(19))
    values = [json.loads(line)["value"] for line in Path("readings.jsonl").read_text().splitlines()]
    assert values == [22.5] * 3
    assert "pond" in devices("list").out and "Heard" not in devices("list").out
    assert devices("test").out == "No frame of a configured device was refused, or not decoded, and kept.\n"


def test_keys_that_open_nothing_are_not_saved_unless_asked_to() -> None:
    hear(sent(17))
    wrong = ("26011bda", "--nwk-skey", "11" * 16, "--app-skey", APP, "--decoder", "text", "--id", "pond")
    ran = add(*wrong)
    assert (ran.code, Path("devices.toml").exists()) == (2, False)
    assert "the frames that were kept of it make no sense with this; correct it, or add --anyway" in ran.err
    assert add(*wrong, "--anyway").code == 0
    ran = devices("test", "pond")
    assert (ran.code, "FAIL      DevAddr 26011bda: the MIC fits no key of pond" in ran.out) == (1, True)


def test_device_that_joins_needs_its_app_key_alone_once_its_request_was_heard() -> None:
    hear(request())
    assert "0102030405060708  1 frame" in devices().out
    ran = add("0102030405060708", "--app-key", NWK, "--decoder", "text", "--id", "buoy")
    assert ran.code == 0, ran.err
    assert "the key fits the join-request of" in ran.out
    assert 'join_eui = "70b3d57ed0019a7c"' in Path("devices.toml").read_text()


def test_qr_code_gives_both_euis() -> None:
    ran = add("LW:D0:70B3D57ED0019A7C:0102030405060708:00AA00BB:SX1", "--app-key", NWK, "--decoder", "text")
    assert ran.code == 0, ran.err
    (device,) = load_config(Path("lora-post.toml"), {}).devices
    assert device.root == ROOT


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no address is given; `lora-post devices` shows who was heard"),
        (("26011b",), "address '26011b'; give DevAddr (8 hex digits), DevEUI (16)"),
        (("1", "--decoder", "text"), "new device address is 1; it must be between 2 and 255"),
        (("8",), "no decoder is given; add --decoder, see `lora-post decoders`"),
        (("26011bda", "--nwk-skey", NWK), "app_skey missing; give --app-skey, or set LORA_POST_APP_SKEY"),
        (("26011bda", "--nwk-s-enc-key", NWK), "give --f-nwk-s-int-key and --s-nwk-s-int-key and --app-skey, or set"),
        (("0102030405060708", "--join-eui", "0" * 16), "app_key missing; give --app-key, or set LORA_POST_APP_KEY"),
        (("8", "--decoder", "texts"), "there is no decoder 'texts'; did you mean 'text'?"),
        (("26011bda", "--decoder", "text"), "nwk_skey and app_skey missing; give --nwk-skey and --app-skey, or set"),
        (("26011bda", "--nwk-skey", "12", "--app-skey", APP, "--decoder", "text"), "nwk_skey has 2 characters"),
        (("8", "--decoder", "text", "--id", "a b"), "new device id is 'a b'; Waziup takes"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_named_and_nothing_written(arguments: Sequence[str], says: str) -> None:
    ran = add(*arguments)
    assert (ran.code, Path("devices.toml").exists()) == (2, False)
    assert says in ran.err
    assert NWK not in ran.err and APP not in ran.err


def test_key_of_a_variable_stays_out_of_the_command() -> None:
    ran = lora_post("devices", "add", "26011bda", "--decoder", "text", LORA_POST_NWK_SKEY=NWK, LORA_POST_APP_SKEY=APP)
    assert ran.code == 0, ran.err
    assert ids() == ["gw1-26011bda"]


class Dialogue:
    """The installed command in a terminal."""

    def __init__(self, *arguments: str) -> None:
        self._main, inner = pty.openpty()
        self._process = subprocess.Popen([COMMAND, *arguments], stdin=inner, stdout=inner, stderr=inner)
        os.close(inner)
        self.text = ""
        self._seen = 0

    def expect(self, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (at := self.text.find(what, self._seen)) < 0:
            missing = f"no {what!r} in {self.text[self._seen :]!r}"
            assert time.monotonic() < deadline, missing
            if select.select([self._main], [], [], 1)[0]:
                try:
                    self.text += os.read(self._main, 4096).decode()
                except OSError as error:  # the command has ended
                    raise AssertionError(missing) from error
        self._seen = at + len(what)

    def answer(self, to: str, text: str) -> None:
        self.expect(to)
        os.write(self._main, text.encode() + b"\n")

    def end(self) -> int:
        while True:
            try:
                self.text += os.read(self._main, 4096).decode()
            except OSError:
                os.close(self._main)
                return self._process.wait(PATIENCE_S)


def test_dialogue_asks_for_what_is_missing_tries_keys_and_offers_decoders() -> None:
    hear(sent(17))
    dialogue = Dialogue("devices", "add")
    dialogue.expect("26011bda")
    dialogue.answer("DevAddr, DevEUI, address or QR code [26011bda]", "")
    dialogue.answer("NwkSKey (32 hex digits, not shown as you type or paste)", "12")
    dialogue.expect("2 characters, it must be 32 hex digits")
    dialogue.answer("NwkSKey", ", ".join(f"0x{NWK[at : at + 2]}" for at in range(0, 32, 2)))
    dialogue.answer("AppSKey", APP.upper())
    dialogue.expect("these keys open the frame of")
    dialogue.expect("cayenne-lpp: temperature_0 22.5 °C")
    dialogue.answer("Decoder [", "CayenneLpp")
    dialogue.answer("Id on Waziup [gw1-26011bda]", "pond")
    dialogue.answer("Name [pond]", "The pond")
    dialogue.expect("added")
    assert dialogue.end() == 0
    assert NWK not in dialogue.text and APP not in dialogue.text.lower()
    (device,) = load_config(Path("lora-post.toml"), {}).devices
    assert (device.id, device.name, device.decoder, device.keys) == ("pond", "The pond", "cayenne-lpp", KEYS)


def test_dialogue_asks_before_it_saves_keys_that_open_nothing() -> None:
    hear(sent(17))
    dialogue = Dialogue("devices", "add", "26011bda", "--nwk-skey", APP, "--app-skey", APP, "--decoder", "text")
    dialogue.answer("Add it anyway? [y/N]", "n")
    assert dialogue.end() == 2
    assert not Path("devices.toml").exists()


def test_device_added_without_keys_in_a_script_is_said_to_be_behind_a_server() -> None:
    ran = add("70B3D57ED0019A7C", "--decoder", "cayenne-lpp")
    note = f"note      1 device {AS_BEHIND_SERVER}, remove it and give --join-eui and --app-key"
    assert (ran.code, ran.out.splitlines()[-1]) == (0, note)
    keys = ("--join-eui", "70b3d57ed0019a7c", "--app-key", NWK)
    assert "note" not in add("70B3D57ED0019A7D", *keys, "--decoder", "cayenne-lpp").out
    assert "note" not in add("6", "--decoder", "text").out


def write_csv(path: Path, count: int, *, wrong: Sequence[int] = ()) -> None:
    lines = ["id;dev_eui;join_eui;app_key;decoder;colour"]
    for number in range(1, count + 1):
        key = f"{number:032x}"[1:] if number in wrong else f"{number + (1 << 100):032x}"
        lines.append(f"pump-{number};{number:016x};70b3d57ed0019a7c;{key};Cayenne LPP;red")
    path.write_text("\n".join(lines))


def test_two_hundred_devices_in_one_command_and_once() -> None:
    write_csv(Path("list.csv"), 200)
    ran = devices("import", "list.csv")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        "added     200 devices to devices.toml",
        "note      list.csv: column 'colour' is not used",
    ]
    assert (len(ids()), ids()[-1]) == (200, "pump-200")
    write_csv(Path("list.csv"), 203)
    ran = devices("import", "list.csv")
    assert "added     3 devices" in ran.out and "left out  200 devices that are there already" in ran.out
    assert devices("import", "list.csv").out.count("added") == 0


def test_every_mistake_is_told_with_line_and_id_and_nothing_is_written() -> None:
    write_csv(Path("list.csv"), 20, wrong=(3, 17))
    text = Path("list.csv").read_text()
    Path("list.csv").write_text(text.replace("pump-5;", "pump 5;").replace("pump-9;", "pump-8;") + "\nshort;1\n")
    Path("other.csv").write_text("address,decoder\n7,texts\n1,text\n")
    ran = devices("import", "list.csv", "other.csv")
    assert (ran.code, Path("devices.toml").exists()) == (2, False)
    for says in (
        "list.csv: line 22 has 2 fields; the header line has 6",
        "list.csv: line 4, pump-3 app_key has 31 characters; it must be 32 hex digits",
        "list.csv: line 18, pump-17 app_key has 31 characters",
        "list.csv: line 6, pump 5 id is 'pump 5'; Waziup takes",
        "list.csv: line 10, pump-8: id 'pump-8' is also the id of line 9, pump-8",
        "other.csv: line 2, 7: there is no decoder 'texts'; did you mean 'text'?",
        "other.csv: line 3, 1 address is 1",
        "nothing was added; correct the 7 mistakes first",
    ):
        assert says in ran.err, ran.err


def test_decoder_comes_from_the_option_or_from_the_model_that_is_named() -> None:
    Path("list.csv").write_text("dev_eui;model_id\n0000000000000001;Dragino-LHT65\n0000000000000002;unheard-of\n")
    ran = devices("import", "list.csv")
    assert ran.code == 2
    assert "list.csv: line 3, 0000000000000002: decoder is missing" in ran.err
    ran = devices("import", "list.csv", "--decoder", "cayenne-lpp")
    assert ran.code == 0
    assert f"note      2 devices {AS_BEHIND_SERVER}, give join_eui and app_key\n" in ran.out
    found = load_config(Path("lora-post.toml"), {}).devices
    assert [device.decoder for device in found] == ["cayenne-lpp", "cayenne-lpp"]


def test_wrong_key_among_those_imported_is_found_by_frames_that_were_heard() -> None:
    hear(sent(17), sent(5, dev_addr=0x26011BDB))
    Path("list.csv").write_text(
        "id,dev_addr,nwk_skey,app_skey,decoder\n"
        f"good,26011bda,{NWK},{APP},cayenne-lpp\nbad,26011bdb,{'11' * 16},{APP},cayenne-lpp\n"
    )
    ran = devices("import", "list.csv")
    assert ran.code == 0
    assert "tried     good: these keys open the frame of" in ran.out
    assert "tried     DevAddr 26011bdb: the MIC fits no key of bad" in ran.out


def test_removed_device_leaves_the_others_with_their_comments() -> None:
    for address in (6, 7, 8):
        assert add(address, "--decoder", "text").code == 0
    text = Path("devices.toml").read_text()
    Path("devices.toml").write_text(text.replace("[[device]]\naddress = 7", "# the barn\n[[device]]\naddress = 7"))
    ran = devices("remove", "gw1-6", "gw1-8")
    assert ran.out == "removed   gw1-6 from devices.toml\nremoved   gw1-8 from devices.toml\n"
    assert ids() == ["gw1-7"]
    assert "# the barn\n[[device]]\naddress = 7" in Path("devices.toml").read_text()
    ran = devices("remove", "gw1-7", "gw1-9")
    assert (ran.code, ids()) == (2, ["gw1-7"])
    assert "no [[device]] has the id 'gw1-9'; did you mean 'gw1-7'?" in ran.err


def test_show_tells_everything_but_the_keys() -> None:
    add("26011bda", "--nwk-skey", NWK, "--app-skey", APP, "--decoder", "text", "--id", "pond")
    ran = devices("show", "pond")
    assert "kind      ABP 1.0\n" in ran.out and "file      devices.toml, [[device]] number 1\n" in ran.out
    assert NWK not in ran.out and APP not in ran.out


def test_one_device_with_a_mistake_does_not_hide_the_others() -> None:
    for address in (6, 7):
        add(address, "--decoder", "text", "--id", f"barn-{address}")
    text = Path("devices.toml").read_text()
    Path("devices.toml").write_text(text.replace("address = 7", "address = 1"))
    mistake = "mistake   devices.toml: [[device]] number 2 (barn-7, line 8) address is 1\nfix       it must be between"
    for ran in (devices(), devices("list"), devices("show", "barn-6"), devices("test", "barn-6")):
        assert (ran.code, ran.err) == (0, "")
        assert "barn-6" in ran.out and mistake in ran.out
    ran = devices("show", "barn-7")
    assert ran.code == 2 and mistake in ran.out and "no [[device]] has the id 'barn-7'" in ran.err
    hear(b"\x40")
    ran = lora_post("spool")
    assert ran.code == 0 and "undecoded  0 payloads" in ran.out
    assert (add(8, "--decoder", "text").code, devices("remove", "barn-6").code) == (2, 2)


def test_without_devices_and_spool_there_is_nothing_to_show() -> None:
    assert devices().out == "There is no device yet.\n"


def test_device_is_changed_where_it_stands_with_comments_kept() -> None:
    add(6, "--decoder", "text", "--id", "barn")
    Path("devices.toml").write_text(
        Path("devices.toml").read_text() + "# the pond\n[[device]]\naddress = 7   # of the label\ndecoder = 'text'\n"
        "drop = [\n  'a', # one\n  'b',\n]\nid = 'pond'\n[[device.sensor]]\nname = 'x'\ndrop = true\n# the end\n"
    )
    ran = devices(
        "set", "pond", "address=9", "drop=", 'name=Old "pond"', "only=temp*, hum*", "location=48.1,-11", "moves=true"
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "changed   pond in devices.toml: address, drop, name, only, location, moves\n"
    assert Path("devices.toml").read_text().partition("# the pond\n")[2] == (
        "[[device]]\naddress = 9   # of the label\ndecoder = 'text'\nid = 'pond'\n"
        'name = "Old \\"pond\\""\nonly = ["temp*", "hum*"]\nlocation = [48.1, -11]\nmoves = true\n'
        "[[device.sensor]]\nname = 'x'\ndrop = true\n# the end\n"
    )
    assert ids() == ["barn", "pond"]
    ran = devices("set", "pond", "id=lake")
    assert ran.out.endswith("note      what waits goes out as pond, unless: lora-post spool move pond lake\n")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("adress=9", "[[device]] has no key 'adress'; did you mean 'address'?"),
        ("address=1", "(barn, line 3) address is 1; it must be between"),
        ("address", "address has no value; write address=VALUE"),
        ("decoder=tex", "there is no decoder 'tex'; did you mean 'text'?"),
        ("moves=yes", "moves is a text in quotes; it must be true or false"),
        ("sensor=x", "[[device]] has no key 'sensor'"),
        ("nwk_skey=12", "nwk_skey has 2 characters"),
    ],
)
def test_change_with_a_mistake_changes_nothing(change: str, complaint: str) -> None:
    add(6, "--decoder", "text", "--id", "barn")
    before = Path("devices.toml").read_text()
    ran = devices("set", "barn", "name=Barn", change)
    assert ran.code == 2 and complaint in ran.err
    assert Path("devices.toml").read_text() == before
    assert "no [[device]] has the id" in devices("set", "bran", "name=x").err


def test_wrong_app_skey_is_put_right_and_what_was_kept_is_read() -> None:
    add("26011bda", "--nwk-skey", NWK, "--app-skey", APP[::-1], "--decoder", "cayenne-lpp", "--id", "pond")
    hear(sent(3), sent(4))
    assert "undecoded  2 payloads" in lora_post("spool").out
    ran = devices("set", "pond", f"app_skey={APP[2:]}00")
    assert ran.code == 2 and "make no sense" in ran.err and "fix  " in ran.out
    assert devices("set", "pond", "name=Pond").code == 0
    ran = devices("set", "pond", f"app_skey={APP}")
    assert ran.code == 0 and "reads temperature_0 22.5" in ran.out and APP not in ran.out
    hear()
    assert "undecoded  0 payloads" in lora_post("spool").out
    assert Path("readings.jsonl").read_text().count('"value":22.5') == 2

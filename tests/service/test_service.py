from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.config import parse_config
from lora_post.errors import ConfigError
from lora_post.service.install import InstallError, install_units, secret_files, secret_variables, write_units
from lora_post.service.units import Place, hidden, is_untouched, marked, radio_program, units
from tests.support.command import COMMAND, PATIENCE_S
from tests.support.in_process import lora_post
from tests.support.programs import program

SITE = """[gateway]
id = "gw1"
[waziup]
username = "me"
password_file = "waziup.password"
[[device]]
address = 9
decoder = "text"
nwk_skey_file = "keys/nwk"
app_skey_env = "FIELD_9"
"""
RADIO = ("/bin/cat", "--number", "50%", "$HOME", 'say "hi"')
SETUPS = {
    "pipe": ("stdin:", RADIO),
    "serial on USB": ("serial:///dev/ttyUSB0", ()),
    "serial on board": ("serial:///dev/ttyAMA0", ()),
    "serial by its id": ("serial:///dev/serial/by-id/usb-arduino", ()),
    "UDP": ("udp://0.0.0.0:1700", ()),
    "MQTT": ("mqtt://127.0.0.1/a/+/up", ()),
}
MAX_EXPOSURE = 2.5


def write_site(folder: Path, more: str = "") -> Path:
    path = folder / "lora-post.toml"
    (folder / "keys").mkdir(parents=True)
    path.write_text(SITE + more)
    for name in ("waziup.password", "keys/nwk"):
        (folder / name).write_text("00" * 16)
        (folder / name).chmod(0o600)
    return path


def made(url: str, radio: tuple[str, ...] = (), more: str = "") -> dict[str, str]:
    text = f'[gateway]\nid = "gw1"\n[waziup]\nprovision = "never"\n[[input]]\nurl = "{url}"\nformat = "lowcost"\n{more}'
    path = Path("/etc/lora-post/lora-post.toml")
    return units(parse_config(text, path, {}), Place(Path(COMMAND), path), radio)


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [program("systemd-analyze"), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.mark.parametrize("setup", SETUPS)
def test_units_of_each_setup_are_understood_by_systemd_and_expose_little(setup: str, tmp_path: Path) -> None:
    names = made(*SETUPS[setup])
    assert set(names) == (
        {"lora-post.service", "lora-post-radio.service", "lora-post-radio.socket"}
        if setup == "pipe"
        else {"lora-post.service"}
    )
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.write_text(names[path.name])
    verdict = analyze("verify", "--man=no", *paths)
    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, "", "")
    for path in paths:
        if path.suffix == ".service":
            said = analyze("security", "--offline=true", "--no-pager", path).stdout
            exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
            assert exposure, said
            assert float(exposure[1]) < MAX_EXPOSURE


@pytest.mark.parametrize(
    ("url", "devices"),
    [
        ("udp://:1700", ["PrivateDevices=yes"]),
        ("serial:///dev/ttyUSB0?baud=9600", ["DevicePolicy=closed", "DeviceAllow=char-188 rw"]),
        ("serial:///dev/ttyACM3", ["DevicePolicy=closed", "DeviceAllow=char-166 rw"]),
        ("serial:///dev/ttyAMA0", ["DevicePolicy=closed", "DeviceAllow=/dev/ttyAMA0 rw"]),
        ("serial:///dev/serial0", ["DevicePolicy=closed", "DeviceAllow=/dev/serial0 rw"]),
        (
            "serial:///dev/serial/by-id/usb-x",
            ["DevicePolicy=closed", "DeviceAllow=char-188 rw", "DeviceAllow=char-166 rw"],
        ),
    ],
)
def test_service_gets_the_devices_of_its_inputs_and_no_others(url: str, devices: list[str]) -> None:
    text = made(url)["lora-post.service"]
    assert re.findall(r"(?m)^(?:PrivateDevices|Device).*", text) == devices
    assert ("SupplementaryGroups=dialout" in text) == url.startswith("serial")


def test_radio_program_is_started_as_it_stands_and_writes_into_what_lora_post_reads() -> None:
    found = made("stdin:", RADIO)
    assert (
        'ExecStart=/usr/bin/stdbuf -oL /bin/cat --number 50%% $$HOME "say \\"hi\\""\n'
        in found["lora-post-radio.service"]
    )
    fifo = re.findall(r"(?m)^ListenFIFO=(.*)", found["lora-post-radio.socket"])
    assert re.findall(r"(?m)^StandardOutput=file:(.*)", found["lora-post-radio.service"]) == fifo
    name = re.findall(r"(?m)^FileDescriptorName=(.*)", found["lora-post-radio.socket"])
    assert re.findall(r"(?m)^StandardInput=fd:(.*)", found["lora-post.service"]) == name


def test_radio_and_fifo_outlive_a_restart_of_lora_post_and_stop_when_nobody_wants_them() -> None:
    found = made("stdin:", RADIO)
    for name in ("lora-post-radio.service", "lora-post-radio.socket"):
        assert "StopWhenUnneeded=yes\n" in found[name]
        # Any of these would take them down together with a lora-post that is restarted or has failed.
        assert not re.search(r"PartOf|StopPropagatedFrom|BindsTo", found[name])
    text = found["lora-post.service"]
    assert "Requires=lora-post-radio.socket\n" in text
    assert re.search(r"(?m)^Wants=.*\blora-post-radio\.service$", text)


@pytest.mark.parametrize(
    ("url", "radio", "says"),
    [
        ("stdin:", (), "the radio program that prints them is not named; add it at the end of this command"),
        ("udp://:1700", ("/bin/cat",), "nothing would read from /bin/cat"),
        ("stdin:", ("lora_gateway",), "give its whole path"),
        ("stdin:", ("/bin/cat", "a\nUser=root"), "cannot stand in a systemd unit"),
    ],
)
def test_radio_program_that_does_not_fit_is_a_mistake(url: str, radio: tuple[str, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        made(url, radio)


def test_folders_outside_of_its_own_can_be_written() -> None:
    more = '[spool]\npath = "/media/stick 1/spool.db"\n[json_lines]\npath = "/srv/readings.jsonl"\n'
    text = made("udp://:1700", more=more)["lora-post.service"]
    assert re.findall(r"(?m)^ReadWritePaths=(.*)", text) == ['"/media/stick 1"', "/srv"]
    assert "ReadWritePaths" not in made("udp://:1700")["lora-post.service"]


def test_what_a_service_would_not_see_is_told() -> None:
    text = (
        '[gateway]\nid = "gw1"\n[spool]\npath = "/tmp/spool.db"\n[decoders]\nfolder = "mine"\n'
        '[[input]]\nurl = "mqtts://127.0.0.1/a/+/up"\nformat = "ttn"\nca_file = "ca.pem"\n'
        '[json_lines]\npath = "readings.jsonl"\n'
    )
    path = Path("/home/pi/lora-post.toml")
    said = hidden(parse_config(text, path, {}), Place(Path("/root/.local/bin/lora-post"), path))
    assert [line.partition(" is ")[0] for line in said] == [
        "the command",
        "the configuration",
        "[spool] path",
        "[decoders] folder",
        "[[input]] ca_file",
        "[json_lines] path",
    ]


def test_secrets_are_found_wherever_the_configuration_names_them(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    assert list(secret_files(path)) == [path, tmp_path / "waziup.password", tmp_path / "keys/nwk"]
    assert secret_variables(path) == ["FIELD_9"]


def test_unit_that_was_edited_is_kept_and_an_earlier_one_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "etc/systemd/system"
    install_units({"a.service": marked("[Service]\nExecStart=/bin/one\n")}, tmp_path)
    install_units({"a.service": marked("[Service]\nExecStart=/bin/two\n")}, tmp_path)
    assert "/bin/two" in (folder / "a.service").read_text()
    edited = (folder / "a.service").read_text().replace("two", "mine")
    (folder / "a.service").write_text(edited)
    assert not is_untouched(edited)
    new = {"b.service": marked("[Service]\n"), "a.service": marked("[Service]\nExecStart=/bin/three\n")}
    with pytest.raises(InstallError, match="changed by hand"):
        install_units(new, tmp_path)
    assert (folder / "a.service").read_text() == edited
    assert not (folder / "b.service").exists()
    write_units(new, tmp_path)
    assert "/bin/three" in (folder / "a.service").read_text()


def test_print_shows_the_units_and_writes_nothing(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    ran = lora_post("service", "print", "-c", path, "--", "/opt/radio/program", "--raw", FIELD_9="00" * 16)
    assert ran.code == 0
    assert ran.out.count("# /etc/systemd/system/lora-post") == 3
    assert f"ExecStart={COMMAND} run -c {path}\n" in ran.out
    assert "ExecStart=/usr/bin/stdbuf -oL /opt/radio/program --raw\n" in ran.out
    assert "0000" not in ran.out


@pytest.fixture
def in_opt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed where a service sees it, wherever the tests run."""
    monkeypatch.setattr(sys, "executable", "/opt/lora-post/bin/python")


@pytest.mark.usefixtures("in_opt")
def test_install_into_another_root_makes_user_units_and_modes(tmp_path: Path) -> None:
    root = tmp_path / "card"
    path = write_site(root / "etc/lora-post", '[[input]]\nurl = "udp://:1700"\n')
    ran = lora_post("service", "install", "--root", root, "-c", path, FIELD_9="00" * 16)
    if os.geteuid() != 0:  # only root can give files to another group
        assert (ran.code, "run it with sudo" in ran.err or "cannot make the user" in ran.err) == (1, True)
        return
    assert (ran.code, ran.err) == (0, "")
    assert "it needs the variable FIELD_9" in ran.out
    command = "ExecStart=/opt/lora-post/bin/lora-post run -c /etc/lora-post/lora-post.toml\n"
    assert command in (root / "etc/systemd/system/lora-post.service").read_text()
    (user,) = [line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("lora-post:")]
    assert user.endswith(":LoRa gateway:/var/lib/lora-post:/usr/sbin/nologin")
    for file in (path, root / "etc/lora-post/waziup.password", root / "etc/lora-post/keys/nwk"):
        assert (file.stat().st_mode & 0o777, file.stat().st_uid, str(file.stat().st_gid)) == (
            0o640,
            0,
            user.split(":")[3],
        )
    assert lora_post("service", "install", "--root", root, "-c", path, FIELD_9="00" * 16) == ran


@pytest.fixture
def below_tmp() -> Iterator[Path]:
    """A folder that a service does not see; what tests otherwise write may lie in memory."""
    with TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.usefixtures("in_opt")
def test_install_refuses_what_cannot_work(tmp_path: Path, below_tmp: Path) -> None:
    path = write_site(below_tmp, '[[input]]\nurl = "udp://:1700"\n')
    told = lora_post("service", "install", "--root", tmp_path / "none", "-c", path, FIELD_9="x")
    assert (told.code, "does not exist" in told.err) == (2, True)
    (tmp_path / "card").mkdir()
    told = lora_post("service", "install", "--root", tmp_path / "card", "-c", path, FIELD_9="00" * 16)
    assert (told.code, "which a service does not see; move it to /etc/lora-post" in told.err) == (2, True)
    assert list((tmp_path / "card").iterdir()) == []
    told = lora_post("service", "install", "--now", "--root", tmp_path / "card", "-c", path, FIELD_9="00" * 16)
    assert (told.code, "--now starts it on this machine" in told.err) == (2, True)


def test_print_warns_of_a_radio_program_that_a_service_would_not_start(below_tmp: Path) -> None:
    path = write_site(below_tmp, '[[input]]\nurl = "stdin:"\n')

    def warned(program: Path | str) -> str:
        ran = lora_post("service", "print", "-c", path, "--", program, FIELD_9="00" * 16)
        assert (ran.code, f"ExecStart=/usr/bin/stdbuf -oL {program}\n" in ran.out) == (0, True)
        return ran.err

    assert "Warning: the radio program is /opt/none/here, and there is no such program\n" in warned("/opt/none/here")
    own = below_tmp / "radio"
    own.touch(0o644)
    assert f"the radio program is {own}, and there is no such program" in warned(own)
    own.chmod(0o755)
    assert f"the radio program is {own}, which a service does not see; install it below /opt" in warned(own)
    assert "radio program" not in warned("/bin/cat")
    nameless = lora_post("service", "print", "-c", path, FIELD_9="00" * 16)
    assert (nameless.code, "service install" in nameless.err) == (2, False)
    assert "fix: " in nameless.err or "add it at the end of this command" in nameless.err


@given(st.lists(st.text(st.characters().filter(str.isprintable), min_size=1), min_size=1, max_size=4))
def test_radio_program_of_an_installed_unit_is_read_back_as_it_was_given(words: list[str]) -> None:
    radio = ("/opt/radio/program", *words)
    assert radio_program(made("stdin:", radio)["lora-post-radio.service"]) == radio


@pytest.mark.parametrize("unit", ["", "[Service]\n", 'ExecStart="unfinished\n'])
def test_unit_without_a_program_names_none(unit: str) -> None:
    assert radio_program(unit) == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another group")
@pytest.mark.usefixtures("in_opt")
def test_repeated_install_keeps_the_radio_program(tmp_path: Path) -> None:
    root = tmp_path / "card"
    path = write_site(root / "etc/lora-post", '[[input]]\nurl = "stdin:"\n')
    missing = lora_post("service", "install", "--root", root, "-c", path, "--", *RADIO, FIELD_9="00" * 16)
    assert (missing.code, "is /bin/cat, and there is no such program" in missing.err) == (2, True)
    (root / "bin").mkdir()
    (root / "bin/cat").touch(0o755)
    first = lora_post("service", "install", "--root", root, "-c", path, "--", *RADIO, FIELD_9="00" * 16)
    unit = root / "etc/systemd/system/lora-post-radio.service"
    text = unit.read_text()
    again = lora_post("service", "install", "--root", root, "-c", path, FIELD_9="00" * 16)
    assert (first.code, again.code, unit.read_text()) == (0, 0, text)
    assert "keeps the radio program /bin/cat --number" in again.out

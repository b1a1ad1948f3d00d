"""A file of devices is changed: other lines stay, all of a change is made or nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.config import load_config
from lora_post.config.device_file import append_devices, editing, with_devices, without_device, write
from lora_post.errors import ConfigError
from tests.support.config_text import GATEWAY

FILE = """\
# Devices of the farm.

# The pond.
[[device]]   # by the mill
address = 2
decoder = "text"
[[device.sensor]]
name = "TC"
scale = 2

[[decoder_rule]]
dev_eui_prefix = "01"   # Dragino
decoder = "cayenne-lpp"

# The barn,
# with a leak.
[[ device ]]
address = 3
decoder = "text"
# The end.
"""


def test_device_goes_with_its_sensors_and_the_comment_right_above_it() -> None:
    assert without_device(FILE, 0) == FILE[: FILE.index("# The pond")] + FILE[FILE.index("[[decoder_rule]]") :]
    assert without_device(FILE, 1) == FILE[: FILE.index("# The barn")]
    assert tomllib.loads(without_device(without_device(FILE, 1), 0)).keys() == {"decoder_rule"}


@pytest.mark.parametrize(
    "text",
    [
        'device = [{ address = 2, decoder = "text" }]\n',
        '[[device]]\naddress = 2\nname = """\n[[device]]\n"""\n[[device]]\naddress = 3\n',
        '[["device"]]\naddress = 2\n',
    ],
)
def test_file_in_which_the_place_is_not_clear_is_left_to_a_person(text: str) -> None:
    with pytest.raises(ConfigError, match="remove \\[\\[device\\]\\] number 1 by hand"):
        without_device(text, 0)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.one_of(texts, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.lists(texts, max_size=3))
tables = st.dictionaries(
    st.sampled_from(["id", "name", "options"]), plain | st.dictionaries(texts, plain, max_size=3), min_size=1
)


@given(before=st.lists(tables, max_size=3), added=st.lists(tables, min_size=1, max_size=3), data=st.data())
def test_what_is_added_is_read_back_and_can_be_taken_out_again(
    before: list[dict[str, object]], added: list[dict[str, object]], data: st.DataObject
) -> None:
    text = with_devices(with_devices("", before) if before else "", added)
    wanted = [*before, *added]
    assert tomllib.loads(text)["device"] == wanted
    number = data.draw(st.integers(0, len(wanted) - 1))
    try:
        left = tomllib.loads(without_device(text, number))
    except ConfigError:
        assert any("[[" in str(table) or "#" in str(table) for table in wanted)
        return
    assert left.get("device", []) == wanted[:number] + wanted[number + 1 :]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "lora-post.toml"
    path.write_text(GATEWAY)
    path.chmod(0o640)
    return path


def device(address: int) -> dict[str, object]:
    return {"address": address, "decoder": "text"}


def test_new_file_has_the_rights_of_the_configuration_and_a_changed_one_keeps_its_own(site: Path) -> None:
    file = append_devices(site, [device(2)], {})
    assert (file, file.stat().st_mode & 0o777) == (site.with_name("devices.toml"), 0o640)
    file.chmod(0o600)
    append_devices(site, [device(3)], {})
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.address for each in load_config(site, {}).devices] == [2, 3]
    assert sorted(each.name for each in site.parent.iterdir()) == ["devices.toml", "lora-post.toml"]


def test_mistake_in_one_device_leaves_the_file_as_it_was(site: Path) -> None:
    file = append_devices(site, [device(2)], {})
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=r"\[\[device\]\] number 3 \(address 1, line 11\) address is 1"):
        append_devices(site, [device(3), device(1)], {})
    assert file.read_bytes() == before


def test_link_is_followed_and_stays_a_link(site: Path, tmp_path: Path) -> None:
    real = tmp_path / "real" / "devices.toml"
    real.parent.mkdir()
    real.write_text("")
    real.chmod(0o600)
    site.with_name("devices.toml").symlink_to(real)
    append_devices(site, [device(2)], {})
    assert site.with_name("devices.toml").is_symlink()
    assert "address = 2" in real.read_text()


def test_what_a_power_cut_left_is_no_obstacle(site: Path) -> None:
    site.with_name(".devices.toml.new").write_text("half a fi")
    append_devices(site, [device(2)], {})
    assert len(load_config(site, {}).devices) == 1


def test_configuration_named_devices_toml_gets_its_own_devices(site: Path) -> None:
    path = site.rename(site.with_name("devices.toml"))
    assert append_devices(path, [device(2)], {}) == path
    assert len(load_config(path, {}).devices) == 1


def test_devices_toml_of_another_configuration_is_left_alone(site: Path) -> None:
    site.with_name("devices.toml").write_text(GATEWAY)
    with pytest.raises(ConfigError, match="is a configuration of its own"):
        append_devices(site, [device(2)], {})


def test_file_that_cannot_be_written_is_told_and_another_one_left_as_it_was(site: Path) -> None:
    file = append_devices(site, [device(2)], {})
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="cannot be written"):
        write(site, Path("/proc/devices.toml"), "", {})
    assert file.read_bytes() == before


def test_two_who_add_at_once_both_do(site: Path) -> None:
    def add(address: int) -> None:
        with editing(site):
            append_devices(site, [device(address)], {})

    threads = [Thread(target=add, args=(address,)) for address in range(2, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.address or 0 for each in load_config(site, {}).devices) == list(range(2, 12))

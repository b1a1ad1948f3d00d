"""A stranger becomes a device on the page, for who has the token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from selenium.webdriver.common.by import By

from lora_post.config import load_config
from lora_post.errors import Problem
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.status.form import MAX_BYTES, FormAnswer
from lora_post.uplink.unlock import seal_lorawan
from tests.support.axe import complaints
from tests.support.browser import waiting
from tests.support.command import PATIENCE_S, started, wait_until
from tests.support.in_process import lora_post
from tests.support.ports import free_port
from tests.support.status_page import TOKEN, get, page

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

NWK, APP = "000102030405060708090a0b0c0d0e0f", "101112131415161718191a1b1c1d1e1f"
KEYS = SessionKeys(bytes.fromhex(NWK), bytes.fromhex(APP))
FORM = "/status/devices"
JSON = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}


def post(url: str, body: bytes = b"{}", **headers: str) -> requests.Response:
    return requests.post(url + FORM, body, headers=JSON | headers, timeout=PATIENCE_S)


def answered(body: bytes) -> FormAnswer:
    return FormAnswer([Problem(body.decode())])


def test_form_is_answered_for_who_has_the_token() -> None:
    with page(token=TOKEN, answer_form=answered) as url:
        assert post(url, b'{"a":1}').json() == {"mistakes": [{"what": '{"a":1}', "fix": ""}]}
        assert get(f"{url}/status/strangers.json", **JSON).json() == {"edit": True, "strangers": []}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 403),
        ({"Content-Type": "text/plain"}, 413),  # what a form of another site could send unasked
        ({"Content-Type": "application/x-www-form-urlencoded"}, 413),
        ({"Origin": "http://evil.example"}, 413),
        ({"Origin": "null"}, 413),
    ],
)
def test_other_pages_and_those_without_the_token_add_nothing(headers: dict[str, str], status: int) -> None:
    asked: list[bytes] = []
    with page(token=TOKEN, answer_form=lambda body: asked.append(body) or answered(body)) as url:
        assert post(url, **headers).status_code == status
        assert post(url, b"x" * (MAX_BYTES + 1)).status_code == 413
    assert asked == []


def test_without_a_token_or_switched_off_nothing_can_be_added_on_this_machine_either() -> None:
    with page(answer_form=answered) as url:
        assert post(url).status_code == 403
        assert get(f"{url}/status/strangers.json").json()["edit"] is False
    with page(token=TOKEN) as url:
        assert post(url).status_code == 403
        assert get(f"{url}/status/strangers.json", **JSON).json()["edit"] is False


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A run that has heard a stranger; gives its configuration and the address of its page."""
    monkeypatch.chdir(tmp_path)
    assert lora_post("init", "lora-post.toml", "--url", "stdin:", "--format", "lines", "--gateway-id", "gw1").code == 0
    path, listen = tmp_path / "lora-post.toml", f"127.0.0.1:{free_port()}"
    text = path.read_text()
    address = 'listen = "127.0.0.1:8080"\n'
    assert address in text
    path.write_text(text.replace(address, f'listen = "{listen}"\ntoken = "{TOKEN}"\n'))
    path.chmod(0o600)
    with started("run", "-q", "-c", str(path)) as process:
        assert process.stdin is not None
        for fcnt in (16, 17):
            frame = seal_lorawan(KEYS, 0x26011BDA, fcnt, 2, bytes.fromhex("006700e1"))
            process.stdin.write(f"{frame.hex()}\n".encode())
        wait_until(lambda: is_heard(f"http://{listen}"), "the stranger is not heard")
        yield path, f"http://{listen}"


def is_heard(url: str) -> bool:
    try:
        strangers = get(f"{url}/status/strangers.json", **JSON).json()["strangers"]
    except requests.ConnectionError:
        return False
    return [each["sender"] for each in strangers] == ["26011bda"]


@pytest.mark.long
def test_stranger_becomes_a_device_whose_kept_frames_are_decoded(site: tuple[Path, str], phone: Chrome) -> None:
    path, url = site
    wait = waiting(phone)
    phone.get(f"{url}/#/refused")
    phone.find_element(By.ID, "token").send_keys(f"{TOKEN}\n")
    wait.until(lambda b: b.find_elements(By.ID, "link") and b.find_element(By.ID, "link").text == "live")
    phone.get_log("browser")  # has the answer without the token
    wait.until(lambda b: b.find_elements(By.LINK_TEXT, "make it a device"))
    phone.find_element(By.LINK_TEXT, "make it a device").click()
    assert phone.find_element(By.ID, "address").get_attribute("value") == "26011bda"

    def fill(name: str, value: str) -> None:
        field = phone.find_element(By.NAME, name)
        field.clear()
        field.send_keys(value)

    def tried() -> str:
        phone.find_element(By.ID, "try").click()
        wait.until(lambda b: "Trying" not in b.find_element(By.ID, "tried").text)
        return phone.find_element(By.ID, "tried").text

    def asked() -> list[str]:
        return [
            each.get_attribute("name")
            for each in phone.find_elements(By.CSS_SELECTOR, "#add [name]")
            if each.is_displayed()
        ]

    session, rest = ["nwk_skey", "app_skey"], ["decoder", "name"]
    assert asked() == [*session, *rest]
    phone.find_element(By.ID, "is-11").click()
    assert asked() == ["f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key", "app_skey", *rest]
    phone.find_element(By.ID, "address").clear()
    phone.find_element(By.ID, "address").send_keys("0102030405060708")
    assert asked() == ["app_key", "nwk_key", "join_eui", *rest]
    phone.find_element(By.ID, "is-11").click()
    assert asked() == ["app_key", "join_eui", *rest]
    phone.find_element(By.ID, "address").clear()
    phone.find_element(By.ID, "address").send_keys("26011bda")
    fill("nwk_skey", APP)
    fill("app_skey", NWK)
    assert "exchanged" in tried()
    fill("nwk_skey", NWK)
    fill("app_skey", APP)
    fill("name", "Pond <b>7</b>")
    found = tried()
    assert "these keys open the frame of " in found
    assert "FCnt 17" in found
    assert "cayenne-lpp reads temperature_0 22.5 °C" in found
    assert phone.execute_script("return document.documentElement.scrollWidth") <= 390
    assert complaints(phone) == []
    fill("decoder", "cayenne-lpp")
    assert "with cayenne-lpp it reads temperature_0 22.5 °C" in tried()
    phone.find_element(By.ID, "save").click()
    wait.until(lambda b: "Saved to" in b.find_element(By.ID, "tried").text)
    phone.find_element(By.LINK_TEXT, "gw1-26011bda").click()
    wait.until(lambda b: b.find_element(By.ID, "device-name").text == "Pond <b>7</b>")
    wait.until(lambda b: "22.5 °C" in b.find_element(By.ID, "device-facts").text)
    assert phone.get_log("browser") == []
    [device] = load_config(path).devices
    assert (device.name, device.decoder) == ("Pond <b>7</b>", "cayenne-lpp")
    shown = get(f"{url}/status.json", **JSON).json()["devices"]
    assert [(each["id"], each["heard"]) for each in shown] == [("gw1-26011bda", 2)]

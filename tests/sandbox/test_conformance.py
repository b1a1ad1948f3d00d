"""The sandbox against the behaviour of Waziup Cloud's API, over real HTTP.

The number in a docstring is that of the behaviour in the project's list of 68.
Sources: Waziup/wazicloud-api: src/Waziup/*.hs; Waziup/WaziCloud: tests/test/;
telefonicaid/fiware-orion 2.2.0.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jwt
import pytest
import requests

from tests.support.command import PATIENCE_S
from tests.support.sandbox_client import Api, assert_error, sandbox_api

TEXT = {"Content-Type": "text/plain;charset=utf-8"}
NOT_FOUND = (
    'Error from Orion: {"error":"NotFound","description":"The requested entity has not been found. Check type and id"}'
)
ALL_SCOPES = ["devices:update", "devices:view", "devices:delete", "devices-data:create", "devices-data:view"]
PUBLIC_SCOPES = ["devices:view", "devices-data:create", "devices-data:view"]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with sandbox_api() as api:
        yield api


# HTTP


@pytest.mark.parametrize("path", ["/nothing", "/devices/d/nothing", "/devices/d/sensors/s/t/u", ""])
def test_unknown_path_is_404_with_empty_body(api: Api, path: str) -> None:
    """1, 10"""
    assert_error(api("GET", path), 404)


@pytest.mark.parametrize("path", ["/devices", "/api/v1/devices", "/docs"])
def test_nothing_of_the_api_is_outside_its_prefix(api: Api, path: str) -> None:
    """1"""
    root = api.base.removesuffix("/api/v2")
    assert_error(api.session.get(root + path, timeout=PATIENCE_S), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/token"),
        ("PUT", "/devices"),
        ("PATCH", "/devices/d"),
        ("GET", "/devices/d/sensors/s/value"),
        ("POST", "/gateways/g/heartbeat"),
        ("PUT", "/users/me"),
        ("OPTIONS", "/devices"),
    ],
)
def test_wrong_method_is_405_with_empty_body(api: Api, method: str, path: str) -> None:
    """2"""
    assert_error(api(method, path), 405)


def test_one_trailing_slash_is_accepted(api: Api) -> None:
    """3"""
    assert api("GET", "/users/me/").status_code == 200
    assert_error(api("GET", "/users/me//"), 404)


def test_head_answers_as_get_without_body(api: Api) -> None:
    """3"""
    answer = api("HEAD", "/users/me")
    assert (answer.status_code, answer.content) == (200, b"")
    assert_error(api("HEAD", "/auth/token"), 405)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 415),
        ("text/plain", 415),
        ("text/plain;charset=utf8", 415),
        ('text/plain;charset="utf-8"', 415),
        ("text/plain;charset=utf-8;format=flowed", 415),
        ("text/html;charset=utf-8", 415),
        ("nonsense", 415),
        ("text/plain;charset=utf-8", 204),
        ("text/plain; charset=UTF-8", 204),
        ("TEXT/Plain;Charset=utf-8", 204),
    ],
)
def test_text_needs_its_charset(api: Api, content_type: str | None, status: int) -> None:
    """4, 5"""
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = api("PUT", f"/devices/{api.device()}/name", "alice", data=b"Pond", headers=headers)
    assert answer.status_code == status
    assert answer.text == ""


@pytest.mark.parametrize("parameter", ["", "; charset=UTF-8", ";charset=latin-1", "; version=2; q=x"])
def test_json_is_accepted_with_any_parameter(api: Api, parameter: str) -> None:
    """6"""
    headers = {"Content-Type": f"application/json{parameter}"}
    assert api("PUT", f"/devices/{api.device()}/name", "alice", data=b'"Pond"', headers=headers).status_code == 204


def test_text_is_not_taken_where_only_json_is_declared(api: Api) -> None:
    """4, 5"""
    assert_error(api("PUT", f"/devices/{api.device()}/location", "alice", data=b"{}", headers=TEXT), 415)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/plain", 406),
        ("application/xml, text/*", 406),
        ("application/json;q=0", 406),
        ("nonsense", 406),
        ("*/*", 200),
        ("application/*", 200),
        ("application/json", 200),
        ("text/html, application/json;q=0.1", 200),
        ("application/json;charset=utf-8", 200),
    ],
)
def test_accept_must_admit_json(api: Api, accept: str, status: int) -> None:
    """7"""
    answer = api("GET", "/users/me", headers={"Accept": accept})
    assert answer.status_code == status
    assert answer.headers.get("Content-Type") == ("application/json;charset=utf-8" if status == 200 else None)


def test_accept_is_checked_before_content_type_even_without_an_answer_body(api: Api) -> None:
    """7"""
    assert_error(api("POST", "/devices", data=b"x", headers={"Accept": "text/plain", "Content-Type": "text/html"}), 406)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b'"d"', b"{}", b'{"id":1}', b'{"id":null}', b'{"id":"x"} x', b'{"id":"\xff"}'),
        *(b'{"id":"x","sensors":{}}', b'{"id":"x","sensors":[{}]}', b'{"id":"x","sensors":[{"id":"t","value":5}]}'),
        *(b'{"id":"x","location":{"latitude":1}}', b'{"id":"x","visibility":"secret"}', b'{"id":"x","deployed":"yes"}'),
        *(b'{"id":"x","date_created":"yesterday"}', b'{"id":"x","actuators":[{"name":"a"}]}', b'{"id":"\\ud800"}'),
    ],
)
def test_malformed_device_is_400_with_text(api: Api, body: bytes) -> None:
    """8, 23"""
    answer = api("POST", "/devices", data=body, headers={"Content-Type": "application/json"})
    assert_error(answer, 400, "Error in $")


def test_unknown_keys_and_nulls_are_ignored(api: Api) -> None:
    """9"""
    device = api.device(sensors=[{"id": "t", "sensing_device": "Thermometer", "unit": None}], colour="red", name=None)
    answer = api.get(f"/devices/{device}")
    assert answer["sensors"] == [{"id": "t"}]
    assert not {"colour", "name"} & answer.keys()


def test_204_has_no_body_and_no_content_type(api: Api) -> None:
    """11"""
    answer = api.push(api.device(), 1)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" not in answer.headers


def test_a_body_where_none_is_declared_is_ignored(api: Api) -> None:
    headers = {"Content-Type": "text/html"}
    assert api("PUT", f"/gateways/{api.gateway()}/heartbeat", "alice", data=b"<p>", headers=headers).status_code == 204


def test_a_body_of_more_than_one_mebibyte_is_413_whether_announced_or_not(api: Api) -> None:
    device = api.device()
    headers = {"Content-Type": "application/json"}
    path = f"/devices/{device}/sensors/t/value"
    body = b'{"value":"' + b"a" * (1 << 20) + b'"}'
    assert_error(api("POST", path, data=body, headers=headers), 413, "Error from Orion: ")
    chunks = (body[start : start + 65536] for start in range(0, len(body), 65536))
    assert_error(api("POST", path, data=chunks, headers=headers), 413, "Error from Orion: ")
    assert api.rows(device) == []


def test_a_connection_is_kept_over_good_and_bad_answers(api: Api) -> None:
    with requests.Session() as session:
        session.trust_env = False
        pools = session.adapters["http://"].poolmanager  # type: ignore[attr-defined]
        for path in ("/users/me", "/nothing", "/devices/a=b", "/users/me"):
            session.get(api.base + path, timeout=PATIENCE_S)
            session.post(api.base + path, data=b"x" * 70_000, timeout=PATIENCE_S)
        [key] = pools.pools.keys()
        assert pools.pools[key].num_connections == 1


# Authentication


def test_token_is_raw_text_for_anyone_and_a_json_string_for_json_only(api: Api) -> None:
    """12"""
    body = {"username": "alice", "password": "alice-pw"}
    raw = api("POST", "/auth/token", json=body)
    assert (raw.status_code, raw.headers["Content-Type"]) == (200, "text/plain;charset=utf-8")
    quoted = api("POST", "/auth/token", json=body, headers={"Accept": "application/json"})
    assert quoted.headers["Content-Type"] == "application/json;charset=utf-8"
    for token in (raw.text, json.loads(quoted.text)):
        assert jwt.decode(token, options={"verify_signature": False})["preferred_username"] == "alice"


@pytest.mark.parametrize("body", [{"username": "alice", "password": "wrong"}, {"username": "nobody", "password": ""}])
def test_wrong_credentials_are_401(api: Api, body: dict[str, str]) -> None:
    """13"""
    assert_error(api("POST", "/auth/token", json=body), 401, "Error from Keycloak: ")


@pytest.mark.parametrize("body", [{"username": "alice"}, {"username": "alice", "password": 5}, []])
def test_incomplete_credentials_are_400(api: Api, body: Any) -> None:
    """8"""
    assert_error(api("POST", "/auth/token", json=body), 400, "Error in $")


def test_token_says_who_and_how_long(api: Api) -> None:
    """14"""
    claims = [jwt.decode(api.token(name), options={"verify_signature": False}) for name in ("alice", "admin")]
    assert [claim["exp"] - claim["iat"] for claim in claims] == [600, 600]
    assert [claim.get("admin") for claim in claims] == [None, True]
    assert claims[0]["iat"] == api.clock.now_us // 1_000_000


def test_token_ends_with_its_lifetime() -> None:
    """14, 15"""
    with sandbox_api(token_lifetime_s=3) as api:
        header = {"Authorization": f"Bearer {api.token('alice')}"}
        assert api("GET", "/users/me", headers=header).json()["username"] == "alice"
        api.clock.advance(3)
        assert api("GET", "/users/me", headers=header).json()["username"] == "guest"


def test_a_bad_token_makes_a_guest_and_no_401(api: Api) -> None:
    """15, 16"""
    good = api.token("alice")
    claims = {"preferred_username": "alice", "iat": 0, "exp": 2**33}
    foreign = jwt.encode(claims, "x" * 32, algorithm="HS256")
    unsigned = jwt.encode(claims, None, algorithm="none")
    for header in ("", "Bearer", "Bearer x", f"bearer {good}", f"Bearer  {good}", good, "Basic YTpi"):
        answer = api("GET", "/users/me", headers={"Authorization": header})
        assert (answer.status_code, answer.json()["username"]) == (200, "guest"), header
    for token in (foreign, unsigned, good[:-3], good + "A"):
        answer = api("GET", "/users/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["username"] == "guest"


def test_me_is_the_caller(api: Api) -> None:
    """16"""
    assert api.get("/users/me", "alice")["username"] == "alice"
    assert api.get("/users/me", "admin")["admin"] is True
    assert api.get("/users/me")["username"] == "guest"


def test_device_permissions(api: Api) -> None:
    """17, 18"""
    public, private = api.device(visibility="public"), api.device(visibility="private")

    def scopes(user: str | None) -> list[Any]:
        listed = {item["resource"]: item["scopes"] for item in api.get("/auth/permissions/devices", user)}
        return [listed.get(public), listed.get(private)]

    assert scopes("alice") == scopes("admin") == [ALL_SCOPES, ALL_SCOPES]
    assert scopes("bob") == scopes(None) == [PUBLIC_SCOPES, None]


def test_gateway_permissions(api: Api) -> None:
    """19"""
    public, private = api.gateway(), api.gateway(visibility="private")

    def scopes(user: str | None) -> list[Any]:
        listed = {item["resource"]: item["scopes"] for item in api.get("/auth/permissions/gateways", user)}
        return [listed.get(public), listed.get(private)]

    everything = ["gateways:update", "gateways:view", "gateways:delete"]
    assert scopes("alice") == scopes("admin") == [everything, everything]
    assert scopes("bob") == [["gateways:view"], None]


# Devices


@pytest.mark.parametrize(("user", "owner"), [("admin", "admin"), ("alice", "alice"), (None, "guest")])
def test_a_new_device_belongs_to_whoever_asked(api: Api, user: str | None, owner: str) -> None:
    """20, 21"""
    device = api.device(user, owner="bob")
    assert api.get(f"/devices/{device}")["owner"] == owner


@pytest.mark.parametrize("user", ["alice", "bob", None])
def test_a_taken_device_id_is_422_for_everybody(api: Api, user: str | None) -> None:
    """22"""
    device = api.device("alice", visibility="private", name="first")
    answer = api("POST", "/devices", user, json={"id": device, "name": "second"})
    assert_error(answer, 422, 'Error from Orion: {"error":"Unprocessable","description":"Already Exists"}')
    assert api.get(f"/devices/{device}", "alice")["name"] == "first"


@pytest.mark.parametrize("device", ["=", "a b", "é", "a?b", "a/b", "a#b", "a&b", "a<b", "a(b", "a\tb", "\x7f"])
def test_device_id_characters(api: Api, device: str) -> None:
    """23"""
    answer = api("POST", "/devices", json={"id": device})
    assert_error(answer, 400, 'Error from Orion: {"error":"BadRequest","description":"Invalid characters in entity id"')
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/sensors")):
        answer = api(method, f"/devices/{quote(device, safe='')}{path}")
        assert_error(answer, 400, 'Error from Orion: {"error":"BadRequest","description":"invalid character in URI"')


@pytest.mark.parametrize(("length", "status"), [(0, 400), (1, 204), (256, 204), (257, 400)])
def test_device_id_length(api: Api, length: int, status: int) -> None:
    """23"""
    device = uuid.uuid4().hex.ljust(length, "x")[-length:] if length > 1 else "~" * length
    assert api("POST", "/devices", json={"id": device}).status_code == status


@pytest.mark.parametrize(
    "fields",
    [{"name": "Temp (°C)"}, {"domain": "a=b"}, {"gateway_id": "a;b"}, {"meta": {"a": ["Côte d'Ivoire"]}}]
    + [{"sensors": [{"id": "t", key: "<x>"}]} for key in ("name", "sensor_kind", "quantity_kind", "unit")]
    + [{"sensors": [{"id": "t", "value": {"value": item}}]} for item in ('"', {"a": "("}, [["="]])]
    + [{"sensors": [{"id": name}]} for name in ("a b", "é", "", "*", "geo:distance", "x" * 257)]
    + [{"actuators": [{"id": "a=b"}]}, {"actuators": [{"id": "a", "value": "'"}]}],
)
def test_forbidden_text_is_400_from_orion_and_nothing_is_made(api: Api, fields: dict[str, Any]) -> None:
    """23, 24"""
    device = f"d-{uuid.uuid4().hex}"
    assert_error(api("POST", "/devices", json={"id": device} | fields), 400, 'Error from Orion: {"error":"BadRequest",')
    assert_error(api("GET", f"/devices/{device}"), 404, NOT_FOUND)


def test_a_device_comes_back_as_it_was_posted(api: Api) -> None:
    """25, 26"""
    posted = {
        "id": f"d-{uuid.uuid4().hex}",
        "gateway_id": "GW1",
        "name": "Température °C",
        "location": {"latitude": 5.36, "longitude": -4.0083},
        "domain": "farm",
        "visibility": "public",
        "meta": {"a": [1, None, {"b": "c"}]},
        "deployed": False,
        "sensors": [
            {"id": "b", "name": "B", "sensor_kind": "Thermometer", "quantity_kind": "Temperature", "unit": "Kelvin"},
            {"id": "B", "meta": [1]},
            {"id": "a"},
        ],
        "actuators": [{"id": "z"}, {"id": "k", "name": "K", "actuator_value_type": "bool", "value": True}],
    }
    assert api("POST", "/devices", "alice", json=posted).status_code == 204
    answer = api.get(f"/devices/{posted['id']}")
    now = api.clock.second()
    assert [sensor["id"] for sensor in answer["sensors"]] == ["B", "a", "b"]
    expected = posted | {"owner": "alice", "date_created": now, "date_modified": now}
    for key in ("sensors", "actuators"):
        expected[key] = sorted(posted[key], key=lambda item: item["id"])  # type: ignore[arg-type, index]
    assert answer == expected


def test_a_bare_device_has_empty_lists_and_no_other_fields(api: Api) -> None:
    """25"""
    device = f"d-{uuid.uuid4().hex}"
    assert api("POST", "/devices", json={"id": device}).status_code == 204
    answer = api.get(f"/devices/{device}")
    assert answer.keys() == {"id", "sensors", "actuators", "owner", "date_created", "date_modified"}
    assert answer["sensors"] == answer["actuators"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", ""), ("DELETE", ""), ("GET", "/sensors"), ("GET", "/sensors/t"), ("DELETE", "/sensors/t")),
        *(("GET", "/sensors/t/values"), ("GET", "/actuators"), ("GET", "/actuators/a"), ("DELETE", "/actuators/a")),
    ],
)
def test_unknown_device_is_orions_404(api: Api, method: str, path: str) -> None:
    """27"""
    assert_error(api(method, f"/devices/d-{uuid.uuid4().hex}{path}", "alice"), 404, NOT_FOUND)


def test_private_device_is_for_owner_and_admin(api: Api) -> None:
    """28, 38, 45"""
    device = api.device(visibility="private", actuators=[{"id": "a"}])
    for user in ("alice", "admin"):
        assert api("GET", f"/devices/{device}", user).status_code == 200
        assert api.push(device, 1, user).status_code == 204
    causes = "You are not admin, not owner of the device, this device is private"
    for stranger in ("bob", None):
        for path in ("", "/sensors", "/sensors/t", "/sensors/t/values", "/actuators", "/actuators/a"):
            answer = api("GET", f"/devices/{device}{path}", stranger)
            assert_error(answer, 403, f"Forbidden: Cannot access device {device}. Cause: {causes}")
        assert_error(api.push(device, 1, stranger), 403, "Forbidden: ")
        assert_error(api("GET", f"/sensors_data?device_id={device}", stranger), 403, "Forbidden: ")
    assert len(api.rows(device, user="alice")) == 2


def test_device_list_leaves_out_what_the_caller_may_not_see(api: Api) -> None:
    """29"""
    public, private, other = api.device(), api.device(visibility="private"), api.device("bob", visibility="private")

    def listed(user: str | None) -> list[str]:
        return [item["id"] for item in api.get("/devices", user) if item["id"] in (public, private, other)]

    assert listed("admin") == [public, private, other]
    assert listed("alice") == [public, private]
    assert listed("bob") == [public, other]
    assert listed(None) == [public]


def test_limit_and_offset_count_visible_devices_and_there_is_no_default(api: Api) -> None:
    """30"""
    gateway = f"g-{uuid.uuid4().hex}"
    hidden = ["private" if number % 2 else "public" for number in range(60)]
    devices = [api.device(gateway_id=gateway, visibility=visibility) for visibility in hidden]
    visible = devices[::2]

    def listed(query: str) -> list[str]:
        return [item["id"] for item in api.get(f"/devices?q=gateway_id=={gateway}{query}")]

    assert listed("") == visible
    assert listed("&limit=3&offset=2") == visible[2:5]
    assert listed("&limit=0") == []
    assert listed("&offset=29") == visible[29:]
    assert listed("&limit=-1") == []
    assert listed("&offset=-1") == visible


@pytest.mark.parametrize("query", ["limit=x", "limit=", "offset=1.5", "limit=99999999999999999999"])
def test_bad_list_parameters_are_400(api: Api, query: str) -> None:
    """30"""
    assert_error(api("GET", f"/devices?{query}"), 400, f"Error parsing query parameter {query.split('=')[0]} failed: ")


def test_filter(api: Api) -> None:
    """31"""
    word, device = f"w{uuid.uuid4().hex}", f"d-{uuid.uuid4().hex}"
    api.device("alice", id=device, domain=word, gateway_id="123", name="x", deployed=True)
    api.push(device, 5)
    other = api.device("bob", domain=word, gateway_id="GW")

    def found(*terms: str) -> list[str]:
        text = quote(";".join((f"domain=={word}", *terms)))
        return [item["id"] for item in api.get(f"/devices?q={text}")]

    assert found() == [device, other]
    assert found("owner==alice") == [device]
    assert found("owner==alice,bob") == [device, other]
    assert found("owner:bob") == [other]
    assert found("owner!=bob", "name") == [device]
    assert found("!name") == [other]
    assert found("gateway_id==123") == []  # looks like a number, and the stored text is none
    assert found("gateway_id=='123'") == [device]
    assert found("t==5") == found("t=='x',5.0") == [device]
    assert found("deployed==true") == [device]
    assert found("location") == []


@pytest.mark.parametrize(
    "text", ["", "=", "a==", "==b", "a==b;;c==d", "a=='b", "!a==b", "a=b", "a>3", "a~=b", "a==1..3"]
)
def test_wrong_or_unsupported_filter_is_400(api: Api, text: str) -> None:
    """31"""
    assert_error(api("GET", f"/devices?q={quote(text)}"), 400, 'Error from Orion: {"error":"BadRequest",')


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "Étang"), ("gateway_id", "GW7"), ("owner", "alice"), ("visibility", "public"), ("name", "")],
)
def test_put_text_field_as_text_and_as_json(api: Api, field: str, value: str) -> None:
    """32"""
    for options in ({"data": value.encode(), "headers": TEXT}, {"json": value}):
        device = api.device()
        assert api("PUT", f"/devices/{device}/{field}", "alice", **options).status_code == 204
        assert api.get(f"/devices/{device}")[field] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [("location", {"latitude": 1.5, "longitude": -200}), ("meta", {"a": 1}), ("meta", [1]), ("deployed", True)],
)
def test_put_json_field(api: Api, field: str, value: Any) -> None:
    """32"""
    device = api.device()
    assert api("PUT", f"/devices/{device}/{field}", "alice", json=value).status_code == 204
    assert api.get(f"/devices/{device}")[field] == value


@pytest.mark.parametrize(
    ("field", "value", "beginning"),
    [
        ("visibility", "secret", "Error in $"),
        ("location", {"latitude": 1}, "Error in $"),
        ("name", 5, "Error in $"),
        ("name", "a=b", "Error from Orion: "),
        ("meta", ["("], "Error from Orion: "),
    ],
)
def test_put_bad_field_is_400(api: Api, field: str, value: Any, beginning: str) -> None:
    """8, 24"""
    assert_error(api("PUT", f"/devices/{api.device()}/{field}", "alice", json=value), 400, beginning)


def test_domain_cannot_be_put(api: Api) -> None:
    assert_error(api("PUT", f"/devices/{api.device()}/domain", "alice", json="x"), 404)


def test_a_stranger_cannot_change_a_public_device(api: Api) -> None:
    """33, 36, 39"""
    device = api.device(actuators=[{"id": "a"}])
    cause = f"Forbidden: Cannot access device {device}. Cause: You are not admin, not owner of the device"
    for stranger in ("bob", None):
        for method, path, body in (
            ("PUT", "/name", "x"),
            ("DELETE", "", None),
            ("POST", "/sensors", {"id": "u"}),
            ("PUT", "/sensors/t/name", "x"),
            ("DELETE", "/sensors/t", None),
            ("POST", "/actuators", {"id": "b"}),
            ("PUT", "/actuators/a/name", "x"),
            ("DELETE", "/actuators/a", None),
        ):
            answer = api(method, f"/devices/{device}{path}", stranger, json=body)
            assert_error(answer, 403, cause)
            assert answer.text == cause


def test_after_a_change_of_owner_the_old_one_keeps_the_public_scopes(api: Api) -> None:
    """34"""
    device = api.device("alice")
    assert api("PUT", f"/devices/{device}/owner", "alice", json="bob").status_code == 204
    answer = api.get(f"/devices/{device}", "alice")
    assert answer["owner"] == "bob"
    assert "visibility" not in answer
    listed = {item["resource"]: item["scopes"] for item in api.get("/auth/permissions/devices", "alice")}
    assert listed[device] == PUBLIC_SCOPES


def test_a_guest_device_may_be_given_away_by_any_guest(api: Api) -> None:
    """15, 35"""
    device = api.device(None)
    assert api("PUT", f"/devices/{device}/visibility", json="private").status_code == 204
    assert api("PUT", f"/devices/{device}/owner", json="alice").status_code == 204
    assert_error(api("GET", f"/devices/{device}"), 403, "Forbidden: ")
    assert api.get(f"/devices/{device}", "alice")["owner"] == "alice"


@pytest.mark.parametrize("user", ["alice", "admin"])
def test_deleting_a_device_takes_its_history(api: Api, user: str) -> None:
    """36"""
    device = api.device()
    api.push(device, 1)
    assert api("DELETE", f"/devices/{device}", user).status_code == 204
    assert_error(api("DELETE", f"/devices/{device}", user), 404, NOT_FOUND)
    api.device(id=device)
    assert api.rows(device) == []


# Reserved ids


def test_a_sensor_called_like_a_field_takes_its_place(api: Api) -> None:
    """37"""
    fields = {"name": "N", "gateway_id": "G", "domain": "D", "deployed": True, "meta": {"a": 1}}
    place = {"latitude": 1.0, "longitude": 2.0}
    names = (*fields, "location", "dateCreated", "dateModified")
    device = api.device(**fields, location=place, sensors=[{"id": name} for name in names])
    answer = api.get(f"/devices/{device}")
    assert answer.keys() == {"id", "sensors", "actuators", "owner"}
    assert [sensor["id"] for sensor in answer["sensors"]] == sorted(names)
    assert api("PUT", f"/devices/{device}/name", "alice", json="N").status_code == 204
    answer = api.get(f"/devices/{device}")
    assert answer["name"] == "N"
    assert "name" not in [sensor["id"] for sensor in answer["sensors"]]


def test_a_sensor_called_owner_leaves_the_device_to_the_admin(api: Api) -> None:
    """37"""
    device = api.device()
    assert api("POST", f"/devices/{device}/sensors", "alice", json={"id": "owner"}).status_code == 204
    assert "owner" not in api.get(f"/devices/{device}")
    assert_error(api("DELETE", f"/devices/{device}", "alice"), 403, "Forbidden: ")
    assert api("DELETE", f"/devices/{device}", "admin").status_code == 204


def test_a_sensor_called_visibility_opens_a_private_device(api: Api) -> None:
    """37"""
    device = api.device(visibility="private")
    assert api("POST", f"/devices/{device}/sensors", "alice", json={"id": "visibility"}).status_code == 204
    assert api("GET", f"/devices/{device}").status_code == 200


def test_id_type_and_date_expires(api: Api) -> None:
    """37"""
    device = api.device(sensors=[{"id": "id"}, {"id": "type"}])
    assert api.get(f"/devices/{device}")["sensors"] == []
    for name, description in (
        ("id", "entity id specified in payload"),
        ("type", "entity type specified in payload"),
        ("dateExpires", "error processing date expiration attribute, see log traces"),
    ):
        answer = api("POST", f"/devices/{device}/sensors", "alice", json={"id": name})
        assert_error(answer, 400, f'Error from Orion: {{"error":"BadRequest","description":"{description}"}}')
    assert api("POST", "/devices", json={"id": "x", "sensors": [{"id": "dateExpires"}]}).status_code == 400


def test_of_equal_ids_the_last_wins_and_actuators_come_after_sensors(api: Api) -> None:
    """37"""
    device = api.device(
        sensors=[{"id": "x", "name": "1"}, {"id": "x", "name": "2"}, {"id": "y"}], actuators=[{"id": "y"}]
    )
    answer = api.get(f"/devices/{device}")
    assert answer["sensors"] == [{"id": "x", "name": "2"}]
    assert answer["actuators"] == [{"id": "y"}]


# Sensors


def test_sensor_list_is_sorted(api: Api) -> None:
    """38"""
    device = api.device(sensors=[{"id": "b"}, {"id": "a"}], actuators=[{"id": "c"}])
    assert api.get(f"/devices/{device}/sensors") == [{"id": "a"}, {"id": "b"}]


@pytest.mark.parametrize("user", ["alice", "admin"])
def test_post_sensor(api: Api, user: str) -> None:
    """39, 41"""
    device = api.device()
    sensor = {"id": "u", "name": "U", "sensor_kind": "K", "quantity_kind": "Q", "unit": "Nonsense", "meta": {"a": 1}}
    for _ in range(2):
        assert api("POST", f"/devices/{device}/sensors", user, json=sensor).status_code == 204
    assert api.sensor(device, "u") == sensor


def test_posting_a_sensor_again_resets_it_and_keeps_history(api: Api) -> None:
    """40"""
    device = api.device(sensors=[{"id": "t", "name": "T", "unit": "Volt"}])
    api.push(device, 5)
    assert api("POST", f"/devices/{device}/sensors", "alice", json={"id": "t", "unit": "Watt"}).status_code == 204
    assert api.sensor(device) == {"id": "t", "unit": "Watt"}
    assert [row["value"] for row in api.rows(device)] == [5]


@pytest.mark.parametrize("sensor", ["nope", "a=b", "name", "act"])
def test_unknown_sensor_is_its_own_404(api: Api, sensor: str) -> None:
    """41, 52"""
    device = api.device(name="N", actuators=[{"id": "act"}])
    path = f"/devices/{device}/sensors/{quote(sensor)}"
    assert api("GET", path).text == "Sensor not found"
    assert_error(api("GET", path), 404, "Sensor not found")
    assert_error(api.push(device, 1, sensor=quote(sensor)), 404, "Sensor not found")
    assert_error(api("POST", f"{path}/values", json=[]), 404, "Sensor not found")
    assert_error(api("PUT", f"{path}/unit", "alice", json="x"), 404, "Sensor not found")


def test_unknown_device_is_another_404_when_pushing(api: Api) -> None:
    """52"""
    assert_error(api.push(f"d-{uuid.uuid4().hex}", 1), 404, NOT_FOUND)


@pytest.mark.parametrize("field", ["name", "sensor_kind", "quantity_kind", "unit"])
def test_put_sensor_text(api: Api, field: str) -> None:
    """42"""
    device = api.device()
    path = f"/devices/{device}/sensors/t/{field}"
    assert api("PUT", path, "alice", data="No such id °".encode(), headers=TEXT).status_code == 204
    assert api.sensor(device)[field] == "No such id °"
    assert api("PUT", path, "alice", json="X").status_code == 204
    assert api.sensor(device)[field] == "X"
    assert_error(
        api("PUT", path, "alice", json="a=b"), 400, 'Error from Orion: {"error":"BadRequest","description":"Inv'
    )


def test_put_sensor_meta(api: Api) -> None:
    """42"""
    device = api.device()
    path = f"/devices/{device}/sensors/t/meta"
    assert api("PUT", path, "alice", json={"a": [1, {}]}).status_code == 204
    assert api.sensor(device)["meta"] == {"a": [1, {}]}
    assert api("PUT", path, "alice", json=None, data=b"null", headers={"Content-Type": "application/json"}).ok
    assert "meta" not in api.sensor(device)


def test_put_sensor_field_keeps_the_last_value(api: Api) -> None:
    """42"""
    device = api.device()
    api.push(device, 5, timestamp="2026-01-02T03:04:05.5Z")
    before = api.sensor(device)["value"]
    assert api("PUT", f"/devices/{device}/sensors/t/unit", "alice", json="Volt").status_code == 204
    assert api.sensor(device) == {"id": "t", "unit": "Volt", "value": before}


def test_delete_sensor_takes_its_history(api: Api) -> None:
    device = api.device()
    api.push(device, 1)
    assert api("DELETE", f"/devices/{device}/sensors/t", "alice").status_code == 204
    answer = api("DELETE", f"/devices/{device}/sensors/t", "alice")
    assert_error(answer, 404, "Error from Orion: ")
    assert "The entity does not have such an attribute" in answer.text
    api("POST", f"/devices/{device}/sensors", "alice", json={"id": "t"})
    assert api.rows(device) == []


LINE = {"linear": {"enabled": True, "value_min": {"sensor_value": 900, "real_value": 100},
                   "value_max": {"sensor_value": 300, "real_value": 0}}}  # fmt: skip


def test_calibration_is_applied_when_reading(api: Api) -> None:
    """43"""
    device = api.device()
    assert api("PUT", f"/devices/{device}/sensors/t/calib", "alice", json=LINE).status_code == 204
    assert api.sensor(device)["calib"] == LINE
    for value in (600, "600", True):
        api.push(device, value)
    assert [row["value"] for row in api.rows(device)] == [50, "600", True]
    assert [row["value"] for row in api.rows(device, "?calibrated=false")] == [600, "600", True]
    assert [row["value"] for row in api.get(f"/sensors_data?device_id={device}")] == [50, "600", True]
    api.push(device, 450)
    assert api.sensor(device)["value"]["value"] == 25


def test_a_put_lets_a_calibrated_last_value_drift(api: Api) -> None:
    """43"""
    device = api.device(sensors=[{"id": "t", "calib": LINE, "value": {"value": 600}}])
    assert api("PUT", f"/devices/{device}/sensors/t/unit", "alice", json="Percent").status_code == 204
    assert api.sensor(device)["value"]["value"] == pytest.approx((50 - 900) * 100 / 600 + 100)


def test_disabled_calibration_changes_nothing(api: Api) -> None:
    """43"""
    line = {"linear": LINE["linear"] | {"enabled": False}}
    device = api.device(sensors=[{"id": "t", "calib": line}])
    api.push(device, 600)
    assert api.sensor(device)["value"]["value"] == 600


@pytest.mark.parametrize("calib", [{}, {"function": {"enabled": True, "func": "x"}}, LINE | {"x": 1}, {"linear": {}}])
def test_unusable_calibration_is_refused(api: Api, calib: Any) -> None:
    """43"""
    assert_error(api("PUT", f"/devices/{api.device()}/sensors/t/calib", "alice", json=calib), 400, "Error in $")


# Values


def test_anybody_may_push_to_a_public_device(api: Api) -> None:
    """35, 44"""
    device = api.device()
    assert [api.push(device, 1, user).status_code for user in (None, "bob", "alice")] == [204, 204, 204]


@pytest.mark.parametrize(
    "value",
    [25, 25.5, -0.125, 0, 2**53, "text °", "", "26.6", True, False, [1, "a", [None]], {"a": {"b": 1.5}, "c": None}, []],
)
def test_values_keep_their_type(api: Api, value: Any) -> None:
    """46"""
    device = api.device()
    assert api.push(device, value).status_code == 204
    for found in (api.sensor(device)["value"]["value"], api.rows(device)[0]["value"]):
        assert found == value
        assert isinstance(found, bool) == isinstance(value, bool)


def test_null_is_stored_and_hides_the_last_value(api: Api) -> None:
    """46"""
    device = api.device()
    api.push(device, 5)
    assert api.push(device, None, timestamp="2026-01-02T03:04:05Z").status_code == 204
    assert api.sensor(device) == {"id": "t"}
    assert [row["value"] for row in api.rows(device)] == [5, None]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("1e19", 2**63 - 1), ("-1e19", -(2**63)), (str(2**63 - 1), 2**63 - 1), ("7.0", 7), ("1e2", 100)],
)
def test_integers_are_clamped_in_history(api: Api, sent: str, stored: int) -> None:
    """46"""
    device = api.device()
    headers = {"Content-Type": "application/json"}
    path = f"/devices/{device}/sensors/t/value"
    assert api("POST", path, data=f'{{"value":{sent}}}', headers=headers).status_code == 204
    assert api.rows(device)[0]["value"] == stored
    assert api.sensor(device)["value"]["value"] == float(sent)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 400, "01", "[" * 101 + "]" * 101])
def test_values_that_cannot_be_stored_are_400(api: Api, value: str) -> None:
    """8, 46"""
    device = api.device()
    headers = {"Content-Type": "application/json"}
    path = f"/devices/{device}/sensors/t/value"
    assert_error(api("POST", path, data=f'{{"value":{value}}}', headers=headers), 400, "Error ")
    assert api.rows(device) == []


@pytest.mark.parametrize("text", ["26.6", "", "true", '{"value": 5}', "°"])
def test_text_body_is_a_string_value(api: Api, text: str) -> None:
    """47"""
    device = api.device()
    path = f"/devices/{device}/sensors/t/value"
    answer = api("POST", path, data=text.encode(), headers=TEXT)
    if '"' in text:
        assert_error(answer, 400, "Error from Orion: ")
        return
    assert answer.status_code == 204
    assert api.sensor(device)["value"]["value"] == api.rows(device)[0]["value"] == text
    assert "timestamp" not in api.rows(device)[0]


@pytest.mark.parametrize("body", [5, "5", [], {}, {"timestamp": "2026-01-02T03:04:05Z"}, {"value": 1, "timestamp": 5}])
def test_a_bare_or_incomplete_value_is_400(api: Api, body: Any) -> None:
    """48"""
    assert_error(api("POST", f"/devices/{api.device()}/sensors/t/value", json=body), 400, "Error in $")


def test_forbidden_text_in_a_value_is_400(api: Api) -> None:
    """24"""
    device = api.device()
    for value in ("a=b", ["ok", {"x": "<"}]):
        assert_error(
            api.push(device, value), 400, 'Error from Orion: {"error":"BadRequest","description":"Invalid char'
        )
    assert "value" not in api.sensor(device)


@pytest.mark.parametrize(
    ("sent", "last", "history"),
    [
        ("2016-06-08T18:20:27.873Z", "2016-06-08T18:20:27Z", "2016-06-08T18:20:27.873Z"),
        ("2016-06-08T18:20:27.500Z", "2016-06-08T18:20:27Z", "2016-06-08T18:20:27.5Z"),
        ("2016-06-08T18:20:27.000Z", "2016-06-08T18:20:27Z", "2016-06-08T18:20:27Z"),
        ("2016-06-08 18:20 +0130", "2016-06-08T16:50:00Z", "2016-06-08T16:50:00Z"),
        ("2016-06-08T18:20:27.12345678-05", "2016-06-08T23:20:27Z", "2016-06-08T23:20:27.12345678Z"),
        ("2016-06-08T18:20:27.123456780000Z", "2016-06-08T18:20:27Z", "2016-06-08T18:20:27.12345678Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.9Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9Z"),
    ],
)
def test_timestamps_in_last_value_and_history(api: Api, sent: str, last: str, history: str) -> None:
    """49, 50, 51"""
    device = api.device()
    assert api.push(device, 1, timestamp=sent).status_code == 204
    assert api.sensor(device)["value"] == {"value": 1, "timestamp": last, "date_received": api.clock.second()}
    assert api.rows(device)[0]["timestamp"] == history


@pytest.mark.parametrize(
    ("sent", "beginning"),
    [
        ("2016-06-08T18:20:27", "Error in $"),
        ("2016-06-08T18:20:27z", "Error in $"),
        ("2016-06-08", "Error in $"),
        ("2016-02-30T00:00:00Z", "Error in $"),
        ("", "Error in $"),
        ("2016-06-08T18:20:27.123456789Z", 'Error from Orion: {"error":"BadRequest","description":"date has invalid'),
        ("1969-12-31T23:59:59Z", 'Error from Orion: {"error":"BadRequest","description":"date has invalid'),
        ("10000-01-01T00:00:00Z", 'Error from Orion: {"error":"BadRequest","description":"date has invalid'),
    ],
)
def test_refused_timestamps(api: Api, sent: str, beginning: str) -> None:
    """51"""
    device = api.device()
    assert_error(api.push(device, 1, timestamp=sent), 400, beginning)
    assert api.rows(device) == []


def test_without_timestamp_there_is_only_the_reception(api: Api) -> None:
    """49, 59"""
    device = api.device()
    api.push(device, 1, timestamp="2026-01-02T03:04:05Z")
    api.push(device, 2)
    assert api.sensor(device)["value"] == {"value": 2, "date_received": api.clock.second()}
    assert api.rows(device)[1].keys() == {"device_id", "sensor_id", "value", "date_received"}


def test_reception_of_the_last_value_stands_still_while_nothing_changes(api: Api) -> None:
    """49"""
    device = api.device()
    api.push(device, 5)
    first = api.clock.second()
    api.clock.advance(10)
    api.push(device, 5)
    assert api.sensor(device)["value"]["date_received"] == first
    assert [row["date_received"] for row in api.rows(device)] == [first, api.clock.second()]
    for value, more in ((5, {"timestamp": "2026-01-02T03:04:05Z"}), (1, {}), (True, {}), ([1], {}), ([1], {})):
        api.clock.advance(1)
        api.push(device, value, **more)
        assert api.sensor(device)["value"]["date_received"] == api.clock.second()


def test_batch_is_stored_in_order(api: Api) -> None:
    """53"""
    device = api.device()
    values = [{"value": number, "timestamp": f"2026-01-02T03:04:{number:02d}Z"} for number in range(30)]
    assert api("POST", f"/devices/{device}/sensors/t/values", json=values).status_code == 204
    assert [row["value"] for row in api.rows(device, "?limit=0")] == list(range(30))
    assert api.sensor(device)["value"]["value"] == 29


def test_empty_batch_is_204_and_an_object_is_400(api: Api) -> None:
    """53"""
    device = api.device()
    path = f"/devices/{device}/sensors/t/values"
    assert api("POST", path, json=[]).status_code == 204
    assert_error(api("POST", path, json={"value": 1}), 400, "Error in $")
    assert_error(api("POST", path, data=b"1", headers=TEXT), 415)
    assert api.sensor(device) == {"id": "t"}


@pytest.mark.parametrize("bad", [{"value": "a=b"}, {"value": 1, "timestamp": "2026-01-02T03:04:05.123456789Z"}])
def test_batch_keeps_what_stood_before_the_refused_value(api: Api, bad: Any) -> None:
    """53"""
    device = api.device()
    batch = [{"value": 1}, {"value": 2}, bad, {"value": 3}]
    assert_error(api("POST", f"/devices/{device}/sensors/t/values", json=batch), 400, "Error from Orion: ")
    assert [row["value"] for row in api.rows(device)] == [1, 2]
    assert api.sensor(device)["value"]["value"] == 2


@pytest.mark.parametrize("bad", [{}, 5, {"value": 1, "timestamp": "2026-01-02T03:04:05"}])
def test_batch_that_cannot_be_read_stores_nothing(api: Api, bad: Any) -> None:
    """53"""
    device = api.device()
    answer = api("POST", f"/devices/{device}/sensors/t/values", json=[{"value": 1}, bad])
    assert_error(answer, 400, "Error in $")
    assert api.rows(device) == []


def test_repeats_are_stored_again_and_the_last_received_is_last(api: Api) -> None:
    """54"""
    device = api.device()
    for second in ("07", "07", "05"):
        api.push(device, int(second), timestamp=f"2026-01-02T03:04:{second}Z")
    assert [row["value"] for row in api.rows(device)] == [7, 7, 5]
    assert api.sensor(device)["value"]["value"] == 5


def test_a_first_value_is_no_history(api: Api) -> None:
    """55"""
    value = {"value": 7, "timestamp": "2026-01-02T03:04:05.9Z"}
    device = api.device(sensors=[{"id": "t", "value": value}])
    api("POST", f"/devices/{device}/sensors", "alice", json={"id": "u", "value": value})
    for sensor in ("t", "u"):
        found = api.sensor(device, sensor)["value"]
        assert (found["value"], found["timestamp"]) == (7, "2026-01-02T03:04:05Z")
        assert api.rows(device, sensor=sensor) == []


# History


def test_history_starts_with_the_oldest_and_gives_20(api: Api) -> None:
    """56, 57"""
    device = api.device()
    api("POST", f"/devices/{device}/sensors/t/values", json=[{"value": number} for number in range(50)])
    for base in (f"/devices/{device}/sensors/t/values?", f"/sensors_data?device_id={device}&sensor_id=t&"):

        def values(query: str, base: str = base) -> list[int]:
            return [row["value"] for row in api.get(base + query)]

        assert values("") == values("sort=asc") == list(range(20))
        assert values("sort=dsc") == list(range(49, 29, -1))
        assert values("sort=dsc&limit=3&offset=1") == [48, 47, 46]
        assert values("limit=0") == list(range(50))
        assert values("limit=0&offset=48") == [48, 49]
        assert values("limit") == list(range(20))
        assert values("limit=-1") == list(range(50))
        assert values("offset=-1") == []


@pytest.mark.parametrize(
    "query",
    [
        *("sort=desc", "sort=", "limit=a", "offset=", "date_from=2026-01-02", "date_to=yesterday", "calibrated=no"),
        "date_from=2026-01-02T03:04:05+01:00",
    ],
)
def test_bad_history_parameters_are_400(api: Api, query: str) -> None:
    """56"""
    name = query.partition("=")[0]
    for path in (
        f"/devices/{api.device()}/sensors/t/values?{query}",
        f"/sensors_data?device_id={api.device()}&{query}",
    ):
        assert_error(api("GET", path), 400, f"Error parsing query parameter {name} failed: ")


def test_date_filters_look_at_the_second_of_reception(api: Api) -> None:
    """57"""
    device = api.device()
    seconds = []
    for value in range(3):
        api.clock.advance(1)
        seconds.append(api.clock.second())
        api.push(device, value, timestamp="2000-01-01T00:00:00Z")

    def values(query: str) -> list[int]:
        return [row["value"] for row in api.rows(device, query)]

    assert values(f"?date_from={seconds[1]}") == [1, 2]
    assert values(f"?date_from={seconds[1][:-1]}.9Z") == [1, 2]
    assert values(f"?date_to={seconds[1]}") == [0]
    assert values(f"?date_from={seconds[1]}&date_to={seconds[2]}") == [1]
    assert values(f"?date_from={seconds[1].replace('Z', '%2B00:00')}&sort=dsc") == [2, 1]
    assert values("?date_to=2001-01-01T00:00:00Z") == []


def test_sensors_data_selects_by_device_and_sensor(api: Api) -> None:
    """58"""
    one = api.device(sensors=[{"id": "t"}, {"id": "u"}])
    two = api.device(sensors=[{"id": "t"}])
    for number, (device, sensor) in enumerate(((two, "t"), (one, "u"), (one, "t"), (two, "t"))):
        api.push(device, number, sensor=sensor)

    def values(query: str) -> list[int]:
        return [row["value"] for row in api.get(f"/sensors_data?{query}")]

    assert values(f"device_id={one},{two}") == [0, 1, 2, 3]
    assert values(f"device_id={one}") == [1, 2]
    assert values(f"device_id={one},{two}&sensor_id=t&sort=dsc") == [3, 2, 0]
    assert values(f"device_id={one}&sensor_id=t,u") == [1, 2]
    assert values(f"device_id={one}&sensor_id=nope") == []
    answer = api("GET", "/sensors_data?sensor_id=t")
    assert_error(answer, 400, "parameters 'devices' must be present")
    assert_error(api("GET", f"/sensors_data?device_id={one},nope"), 404, NOT_FOUND)
    assert api.rows(one, sensor="nope") == []


def test_history_rows(api: Api) -> None:
    """59"""
    device = api.device()
    api.push(device, 23.5, timestamp="2026-01-02T03:04:05.678Z", date_received="2000-01-01T00:00:00Z")
    row = {"device_id": device, "sensor_id": "t", "value": 23.5}
    row |= {"timestamp": "2026-01-02T03:04:05.678Z", "date_received": api.clock.second()}
    assert api.rows(device) == [row]


def test_history_as_csv(api: Api) -> None:
    """56"""
    device = api.device()
    for value, more in ((1.5, {"timestamp": "2026-01-02T03:04:05.5Z"}), ("a,b", {})):
        api.push(device, value, **more)
    now = api.clock.second()
    lines = ["device_id,sensor_id,value,timestamp,date_received"]
    lines += [f"{device},t,1.5,2026-01-02T03:04:05.5Z,{now}", f'{device},t,"a,b",,{now}', ""]
    for path in (f"/devices/{device}/sensors/t/values", f"/sensors_data?device_id={device}"):
        answer = api("GET", path, headers={"Accept": "text/csv"})
        assert answer.headers["Content-Type"] == "text/csv;charset=utf-8"
        assert answer.text == "\r\n".join(lines)


# Gateways


def test_post_gateway_is_200_and_empty(api: Api) -> None:
    """60"""
    gateway = f"g-{uuid.uuid4().hex}"
    body = {"id": gateway, "name": "<My> gateway", "visibility": "public", "location": {"latitude": 1, "longitude": 2}}
    answer = api("POST", "/gateways", "alice", json=body | {"owner": "bob", "connected": True})
    assert (answer.status_code, answer.content) == (200, b"")
    stored = api.get(f"/gateways/{gateway}")
    assert stored.pop("date_created") == stored.pop("date_modified")
    assert stored == body | {"owner": "alice", "connected": True}


@pytest.mark.parametrize("user", ["alice", "bob", None])
def test_a_taken_gateway_id_is_422_for_everybody(api: Api, user: str | None) -> None:
    """60"""
    gateway = api.gateway("alice", visibility="private")
    answer = api("POST", "/gateways", user, json={"id": gateway})
    assert_error(answer, 422, "Gateway ID already exists")


@pytest.mark.parametrize("body", [{}, {"id": 5}, {"id": "x", "visibility": "secret"}, {"id": "x", "last_seen": "now"}])
def test_malformed_gateway_is_400(api: Api, body: Any) -> None:
    """8"""
    assert_error(api("POST", "/gateways", json=body), 400, "Error in $")


def test_gateway_ids_are_not_checked(api: Api) -> None:
    gateway = f"g/é =({uuid.uuid4().hex}"
    api.gateway(id=gateway)
    assert api.get(f"/gateways/{quote(gateway, safe='')}")["id"] == gateway


def test_gateway_reading(api: Api) -> None:
    """61"""
    public, private = api.gateway(), api.gateway(visibility="private")

    def listed(user: str | None) -> list[str]:
        return [item["id"] for item in api.get("/gateways", user) if item["id"] in (public, private)]

    assert listed("alice") == listed("admin") == [public, private]
    assert listed("bob") == listed(None) == [public]
    causes = "You are not admin, not owner of the gateway, this gateway is private"
    assert_error(
        api("GET", f"/gateways/{private}", "bob"), 403, f"Forbidden: Cannot access gateway {private}. Cause: {causes}"
    )
    assert_error(api("GET", "/gateways/nope"), 404, "Cannot get gateway: id not found")


def test_full_gateway_lists_its_visible_devices(api: Api) -> None:
    """61"""
    gateway, number = api.gateway(), str(uuid.uuid4().int)
    api.gateway(id=number)
    public, private = api.device(gateway_id=gateway), api.device(gateway_id=gateway, visibility="private")
    api.device(gateway_id=number)
    full = api.get(f"/gateways/{gateway}?full=true")
    assert [device["id"] for device in full["devices"]] == [public]
    assert [device["id"] for device in api.get(f"/gateways/{gateway}?full=True", "alice")["devices"]] == [
        public,
        private,
    ]
    assert api.get(f"/gateways/{number}?full=true")["devices"] == []  # compared as a number
    assert "devices" not in api.get(f"/gateways/{gateway}?full=false")
    assert_error(api("GET", f"/gateways/{gateway}?full=1"), 400, "Error parsing query parameter full failed: ")


def test_heartbeat(api: Api) -> None:
    """62"""
    gateway = api.gateway()
    before = api.get(f"/gateways/{gateway}")
    api.clock.advance(0.5)
    assert api("PUT", f"/gateways/{gateway}/heartbeat", "alice").status_code == 204
    after = api.get(f"/gateways/{gateway}")
    assert after["date_modified"] > before["date_modified"] == after["date_created"]
    assert api("PUT", f"/gateways/{gateway}/heartbeat", "admin").status_code == 204
    cause = f"Forbidden: Cannot access gateway {gateway}. Cause: You are not admin, not owner of the gateway"
    for stranger in ("bob", None):
        assert api("PUT", f"/gateways/{gateway}/heartbeat", stranger).text == cause
    assert_error(api("PUT", "/gateways/nope/heartbeat", "alice"), 404, "Cannot get gateway: id not found")


def test_health_is_no_route(api: Api) -> None:
    """63"""
    assert_error(api("PUT", f"/gateways/{api.gateway()}/health", "alice"), 404)


def test_legacy_health_takes_the_place_of_heartbeat() -> None:
    """63"""
    with sandbox_api(legacy_health=True) as api:
        gateway = api.gateway()
        api.clock.advance(5)
        assert api("PUT", f"/gateways/{gateway}/health", "alice").status_code == 204
        assert api.get(f"/gateways/{gateway}")["date_modified"] == "2026-01-02T03:04:10.25Z"
        assert_error(api("PUT", f"/gateways/{gateway}/heartbeat", "alice"), 404)


def test_put_gateway_fields(api: Api) -> None:
    """64"""
    gateway = api.gateway(visibility="public")
    before = api.get(f"/gateways/{gateway}")
    api.clock.advance(1)
    assert api("PUT", f"/gateways/{gateway}/name", "alice", json="New (name)").status_code == 204
    place = {"latitude": 5.36, "longitude": 4.0}
    assert api("PUT", f"/gateways/{gateway}/location", "alice", json=place).status_code == 204
    assert api.get(f"/gateways/{gateway}") == before | {"name": "New (name)", "location": place}
    assert api("PUT", f"/gateways/{gateway}/owner", "alice", data=b"bob", headers=TEXT).status_code == 204
    assert_error(api("GET", f"/gateways/{gateway}", "alice"), 403, "Forbidden: ")
    found = api.get(f"/gateways/{gateway}", "bob")
    assert (found["owner"], found["visibility"]) == ("bob", "private")
    assert_error(api("PUT", f"/gateways/{gateway}/location", "bob", json={"latitude": 1}), 400, "Error in $")
    assert_error(api("PUT", f"/gateways/{gateway}/visibility", "bob", json="public"), 404)


def test_delete_gateway(api: Api) -> None:
    """65"""
    for user in ("alice", "admin"):
        gateway = api.gateway()
        device = api.device(gateway_id=gateway)
        assert_error(api("DELETE", f"/gateways/{gateway}", "bob"), 403, "Forbidden: ")
        assert api("DELETE", f"/gateways/{gateway}", user).status_code == 204
        assert_error(api("DELETE", f"/gateways/{gateway}", user), 404, "Cannot get gateway: id not found")
        assert api.get(f"/devices/{device}")["gateway_id"] == gateway


# Actuators and ontologies


def test_actuator_round_trip(api: Api) -> None:
    """66"""
    device = api.device()
    path = f"/devices/{device}/actuators"
    actuator = {"id": "a", "name": "A", "actuator_kind": "Buzzer", "actuator_value_type": "bool", "value": False}
    assert api("POST", path, "alice", json=actuator | {"meta": {"x": 1}}).status_code == 204
    assert_error(api("POST", path, "alice", json={"name": "x"}), 400, "Error in $")
    assert api.get(path) == [actuator | {"meta": {"x": 1}}]
    assert api.get(f"{path}/a") == actuator | {"meta": {"x": 1}}
    for name in ("b", "t"):
        assert_error(api("GET", f"{path}/{name}"), 404, "Actuator not found")
    assert api("DELETE", f"{path}/a", "alice").status_code == 204
    assert_error(api("GET", f"{path}/a"), 404, "Actuator not found")
    assert_error(api("DELETE", f"{path}/a", "alice"), 404, "Error from Orion: ")


def test_put_actuator_fields(api: Api) -> None:
    """67"""
    device = api.device(actuators=[{"id": "a"}], visibility="private")
    path = f"/devices/{device}/actuators/a"
    for field, text in (("name", "A"), ("actuator_kind", "K"), ("value_type", "number")):
        assert api("PUT", f"{path}/{field}", "alice", data=text.encode(), headers=TEXT).status_code == 204
    assert api("PUT", f"{path}/meta", "alice", json={"x": 1}).status_code == 204
    expected = {"id": "a", "name": "A", "actuator_kind": "K", "actuator_value_type": "number", "meta": {"x": 1}}
    assert api.get(path, "alice") == expected
    assert_error(api("PUT", f"{path}/value_type", "alice", data=b"float", headers=TEXT), 400, "Error in $")
    assert_error(api("PUT", f"{path}/name", "bob", json="x"), 403, "Forbidden: ")


@pytest.mark.parametrize("value", [True, 5, "on", [1], {"a": None}])
def test_an_actuator_value_is_bare_json_and_needs_no_permission(api: Api, value: Any) -> None:
    """67"""
    device = api.device(actuators=[{"id": "a"}], visibility="private")
    path = f"/devices/{device}/actuators"
    assert api("PUT", f"{path}/a/value", json=value).status_code == 204
    assert api.get(f"{path}/a", "alice")["value"] == value
    assert_error(api("PUT", f"{path}/b/value", json=value), 404, "Actuator not found")
    assert_error(api("PUT", f"{path}/a/value", data=b"1", headers=TEXT), 415)


@pytest.mark.parametrize(
    ("name", "count", "sample"),
    [
        ("sensor_kinds", 105, {"id": "AirThermometer", "label": "Air thermometer", "qk": ["AirTemperature"]}),
        ("quantity_kinds", 130, {"id": "Acceleration", "label": "Acceleration", "units": ["MetrePerSecondSquare"]}),
        ("units", 89, {"id": "DegreeCelsius", "label": "°C"}),
        ("actuator_kinds", 0, None),
    ],
)
def test_ontologies(api: Api, name: str, count: int, sample: Any) -> None:
    """68"""
    terms = api.get(f"/ontologies/{name}")
    assert len(terms) == count
    assert sample is None or sample in terms

"""docs/node-red-flow.json: it listens to our topics, uses fields that a reading has, and drops what comes again.

It was imported into Node-RED 4 and run; that is not repeated here.
"""

from __future__ import annotations

import json
import re
from typing import Any

import quickjs  # type: ignore[import-untyped]
from msgspec import NODEFAULT
from msgspec.structs import fields
from paho.mqtt.client import topic_matches_sub

from lora_post.sinks.mqtt import MqttTable
from lora_post.sinks.mqtt.sink import topic_of
from lora_post.sinks.reading_json import reading_objects
from tests.support.mqtt_sink import LANE, batch
from tests.support.paths import DOCS

FLOW: list[dict[str, Any]] = json.loads((DOCS / "node-red-flow.json").read_text("utf-8"))
PAGE = (DOCS / "node-red.md").read_text("utf-8")
READING = json.loads(reading_objects(batch(31.5))[0])
# Node-RED's own nodes, which need no palette; https://nodered.org/docs/user-guide/nodes
CORE = {"tab", "mqtt-broker", "mqtt in", "function", "debug", "switch", "change"}


def node(kind: str) -> dict[str, Any]:
    (found,) = (each for each in FLOW if each["type"] == kind)
    return found


def test_flow_is_whole_and_of_core_nodes() -> None:
    ids = [each["id"] for each in FLOW]
    assert len(set(ids)) == len(ids)
    assert {each["type"] for each in FLOW} <= CORE
    drawn = [each for each in FLOW if "wires" in each]
    assert {target for each in drawn for wire in each["wires"] for target in wire} <= set(ids)
    assert {each["z"] for each in drawn} == {node("tab")["id"]}
    assert node("mqtt in")["broker"] == node("mqtt-broker")["id"]


def test_every_node_behind_the_input_is_reached() -> None:
    by_id = {each["id"]: each for each in FLOW}
    reached: set[str] = set()
    due = [node("mqtt in")["id"]]
    while due:
        reached.add(due[-1])
        due += [target for wire in by_id[due.pop()]["wires"] for target in wire if target not in reached]
    assert reached == {each["id"] for each in FLOW if "wires" in each}


def test_input_takes_the_topics_that_are_sent_by_default_as_json() -> None:
    (topic,) = (field.default for field in fields(MqttTable) if field.name == "topic")
    assert topic is not NODEFAULT
    listening = node("mqtt in")
    assert listening["topic"] == re.sub(r"\{\w+\}", "+", topic)
    assert topic_matches_sub(listening["topic"], topic_of(topic, "gw1", "pond.7", "a/b #"))
    assert listening["datatype"] == "json"
    assert f"`{listening['topic']}`" in PAGE


def test_fields_that_are_used_are_those_of_a_reading() -> None:
    used = set(re.findall(r"payload\.(\w+)", json.dumps(FLOW))) | set(re.findall(r"payload\.(\w+)`", PAGE))
    assert used
    assert used <= READING.keys()
    (limit,) = (rule for each in FLOW if each["type"] == "switch" for rule in each["rules"] if rule["vt"] == "str")
    assert limit["v"] == READING["quantity"]


def test_function_passes_on_each_reading_once() -> None:
    context = quickjs.Context()
    context.eval(
        "const store = {}; const context = {get: k => store[k], set: (k, v) => { store[k] = v; }};"
        f"const once = msg => {{ {node('function')['func']} }};"
        "var ask = text => JSON.stringify(once({payload: JSON.parse(text)}));"
    )
    ask = context.get("ask")
    readings = [*reading_objects(batch(*range(100))), *reading_objects(batch(7, lane=LANE, start=-5))]
    first, again = ([json.loads(ask(reading.decode())) for reading in readings] for _ in range(2))
    assert [message["payload"] for message in first] == [json.loads(reading) for reading in readings]
    assert {message["topic"] for message in first} == {"pond-7/temperature_3"}
    assert again == [None] * len(readings)
    for reading in reading_objects(batch(*range(2000), start=1000)):
        ask(reading.decode())
    assert len(json.loads(context.eval("JSON.stringify(store)"))["seen"]) == 1000


def test_page_names_every_node() -> None:
    names = {each["name"] for each in FLOW if "wires" in each} | {node("mqtt-broker")["name"]}
    assert {name for name in names if name not in PAGE} == set()

"""A unit that means something else than its author, or nothing to Waziup, is told once, where decoders are tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.decoding.unit_slips import slips_in, slips_of_decoder
from lora_post.model import Decoder, Example, Reading
from lora_post.results.meanings import known_unit
from lora_post.units import UNITS
from lora_post.waziup.kinds import describe, ontology
from tests.support.in_process import lora_post

PROBE = """
from lora_post import Decoder, Example, Reading

def decode(payload, fport):
    return [Reading("temperature", 21.0, "C"), Reading("wind", 3.0, "mph"), Reading("humidity", 40.0, "%")]

DECODER = Decoder("probe", decode, "v", "m", "s", [Example(each, gives=decode(b"", 1)) for each in ("15", "16")])
"""
COULOMB = "temperature: the unit 'C' is coulomb; write \"°C\""
MPH = "wind: Waziup has no unit 'mph'; write one of lora_post.UNITS, or \"\""


@pytest.mark.parametrize(
    ("name", "unit", "quantity", "fix"),
    [
        *[("temperature", unit, "", 'write "°C"') for unit in ("C", "degC", "deg C", "ºC", "℃", "DegreeCelsius")],
        ("temperature", "°", "", 'write "°C" or "°F"'),
        ("probe_2", "F", "", 'write "°F"'),
        ("dew_point", "C", "", 'write "°C"'),
        ("humidity", "%RH", "", 'write "%"'),
        ("battery_voltage", "Volt", "", 'write "V"'),
        ("uptime", "S", "", 'write "s"'),
        ("uptime", "m", "", 'write "min"'),
        ("weight", "T", "", 'write "t"'),
        ("acceleration_x", "G", "", 'write "g"'),
        ("acceleration", "mg", "", 'write "milli-g"'),
        ("sugar", "g", "", 'write quantity="Weight" beside it for grams'),
        ("wind", "mph", "", 'write one of lora_post.UNITS, or ""'),
        *[("charge_used", "C", "", ""), ("drawn", "C", "ElectricCharge", ""), ("c1", "F", "Capacitance", "")],
        *[("distance", "m", "", ""), ("conductance", "S", "", ""), ("magnetic_field_x", "G", "", "")],
        *[("weight", "g", "", ""), ("acceleration", "g", "", ""), ("wind_direction", "°", "", "")],
        *[("temperature", unit, "", "") for unit in ("°C", "°F", "K", "")],
    ],
)
def test_units_as_people_write_them_are_told_from_units_as_they_are_meant(
    name: str, unit: str, quantity: str, fix: str
) -> None:
    assert [slip.fix for slip in slips_in([Reading(name, 1.0, unit, quantity=quantity)] * 2)] == [fix] * bool(fix)


def test_shipped_decoders_have_units_that_are_meant() -> None:
    shipped = load_folder(shipped_folder()).decoders
    assert {name: found for name, decoder in shipped.items() if (found := slips_of_decoder(decoder))} == {}


def test_ids_of_waziup_are_known_and_lead_to_the_same_unit() -> None:
    with_symbol = {unit.id for unit in UNITS.values() if unit.factor == 1} - {"Dimensionless", "Other"}
    for term in ontology().units:
        symbol = known_unit(term.id)
        assert bool(symbol) == (term.id in with_symbol)
        assert symbol == "" or describe("x", symbol).unit == term.id


@pytest.mark.parametrize("gives", [None, 5, [None], [Reading(None, 1, "C")], [Reading("a", 1, [])]])  # type: ignore[arg-type]
def test_what_is_no_reading_among_examples_is_not_looked_at(gives: object) -> None:
    examples = [Example("00", gives=gives), "no example"]  # type: ignore[arg-type]
    assert slips_of_decoder(Decoder("probe", lambda payload, fport: [], "v", "m", "s", examples)) == []  # type: ignore[arg-type]


def test_every_way_to_test_a_decoder_tells_each_slip_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("decoders").mkdir()
    Path("decoders/probe.py").write_text(PROBE)
    Path("lora-post.toml").write_text(
        '[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n[json_lines]\npath = "-"\n[decoders]\nfolder = "decoders"\n'
        '[[device]]\naddress = 6\ndecoder = "probe"\n[[device.sensor]]\nname = "wind"\nrename = "heat"\nunit = "C"\n'
    )
    tested = lora_post("decoders", "test", "decoders/probe.py")
    assert (tested.code, tested.out) == (0, f"warn  probe: {COULOMB}\nwarn  probe: {MPH}\nok    probe: 2 examples\n")
    decoded = lora_post("decode", "--payload", "15", "--decoder", "decoders/probe.py").out
    tried = lora_post("decoders", "try", "decoders/probe.py").out
    checked = lora_post("check", "-c", "lora-post.toml").out
    caplog.clear()
    Path("empty.hex").touch()
    lora_post("replay", "empty.hex", "-c", "lora-post.toml", "--dry-run")
    started = caplog.text
    for said in (decoded, tried, started):
        assert (said.count(COULOMB), said.count(MPH)) == (1, 1), said
    assert "decoders       probe: temperature: the unit 'C' is coulomb\n" in checked
    for said in (checked, started):
        assert "gw1-6: [[device.sensor]] heat: the unit 'C' is coulomb" in said

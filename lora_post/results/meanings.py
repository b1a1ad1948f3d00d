"""What the names that codecs give to values tell about unit and quantity.

A unit is given only where a name tells it without doubt: `battery` is per cent with one maker and
volts with the next, `batV` is volts.

Sources: TheThingsNetwork/lorawan-devices: lib/payload.json (names and units of `normalizeUplink`); the
codecs of Milesight-IoT/SensorDecoders, dragino/dragino-end-node-decoder, decentlab/decentlab-decoders
and chirpstack/chirpstack-device-profiles for the others.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

from lora_post.units import UNITS
from lora_post.waziup.kinds import OTHER, describe

POSITION = "Position"


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Meaning(Struct, frozen=True):
    """What a name tells: a symbol of `UNITS` and a Waziup quantity, "" where it does not."""

    unit: str = ""
    quantity: str = ""


# By the last part of a name, in lower case with underscores.
_MEANINGS: dict[str, Meaning] = {
    **dict.fromkeys(("temperature", "temp", "tem", "ambient_temperature", "int_temp"), Meaning("°C", "Temperature")),
    **dict.fromkeys(("soil_temperature", "soil_temp", "temp_soil"), Meaning("°C", "SoilTemperature")),
    **dict.fromkeys(("water_temperature", "water_temp"), Meaning("°C", "WaterTemperature")),
    **dict.fromkeys(("air_temperature", "air_temp"), Meaning("°C", "AirTemperature")),
    **dict.fromkeys(
        ("board_temperature", "chip_temperature", "internal_temperature"), Meaning("°C", "BoardTemperature")
    ),
    **dict.fromkeys(("dew_point", "dewpoint"), Meaning("°C", "DewPoint")),
    **dict.fromkeys(("humidity", "hum", "humi", "relative_humidity", "rel_humidity"), Meaning("%", "RelativeHumidity")),
    "air_humidity": Meaning("%", "AirHumidity"),
    **dict.fromkeys(("soil_moisture", "soil_humidity", "moisture", "water_soil"), Meaning("%", "SoilHumidity")),
    **dict.fromkeys(("volumetric_water_content", "vwc"), Meaning("", "SoilHumidity")),
    "salinity": Meaning("", "Salinity"),
    **dict.fromkeys(
        ("battery", "bat", "batt", "battery_level", "bat_level", "battery_status"), Meaning("", "BatteryLevel")
    ),
    **dict.fromkeys(("battery_percent", "battery_percentage", "bat_percent"), Meaning("%", "BatteryLevel")),
    **dict.fromkeys(
        ("bat_v", "batt_v", "battery_voltage", "bat_voltage", "vbat", "batvolt"), Meaning("V", "BatteryLevel")
    ),
    "co2": Meaning("ppm", "CO2"),
    **dict.fromkeys(
        ("pm1", "pm1_0", "pm2_5", "pm25", "pm10"), Meaning("µg/m³", "ChemicalAgentAtmosphericConcentrationDust")
    ),
    **dict.fromkeys(("tvoc", "voc"), Meaning("", "ChemicalAgentAtmosphericConcentrationVOC")),
    "pressure": Meaning("", "Pressure"),
    **dict.fromkeys(
        ("barometric_pressure", "atmospheric_pressure", "air_pressure", "barometer"),
        Meaning("hPa", "AtmosphericPressure"),
    ),
    **dict.fromkeys(("illuminance", "illumination", "lux", "illum"), Meaning("lx", "Illuminance")),
    **dict.fromkeys(("light", "luminosity"), Meaning("", "Illuminance")),
    "light_level": Meaning(),
    "distance": Meaning("", "Distance"),
    **dict.fromkeys(("water_level", "liquid_level"), Meaning("", "WaterLevel")),
    "fill_level": Meaning("", "FillLevel"),
    **dict.fromkeys(("voltage", "volt"), Meaning("V", "Voltage")),
    "current": Meaning("", "ElectricCurrent"),
    **dict.fromkeys(("power", "active_power"), Meaning("", "ActivePower")),
    "reactive_power": Meaning("", "ReactivePower"),
    **dict.fromkeys(("apparent_power", "power_factor"), Meaning()),
    **dict.fromkeys(("acceleration", "accelerometer", "accel", "acc"), Meaning("", "Acceleration")),
    "energy": Meaning("", "Energy"),
    "frequency": Meaning("Hz", "Frequency"),
    **dict.fromkeys(("rain", "rainfall", "precipitation", "rain_gauge"), Meaning("mm", "Rainfall")),
    **dict.fromkeys(("wind_speed", "windspeed"), Meaning("m/s", "WindSpeed")),
    **dict.fromkeys(("wind_direction", "winddirection"), Meaning("°", "WindDirection")),
    "solar_radiation": Meaning("W/m²", "SolarRadiation"),
    **dict.fromkeys(("conductivity", "ec", "soil_conductivity", "conduct_soil"), Meaning("µS/cm", "Conductivity")),
    "ph": Meaning("pH", "PH"),
    **dict.fromkeys(("weight", "mass"), Meaning("", "Weight")),
    **dict.fromkeys(("door", "door_status", "door_open"), Meaning("", "DoorStatus")),
    **dict.fromkeys(("motion", "pir", "pir_status"), Meaning("", "Motion")),
    **dict.fromkeys(("occupancy", "presence"), Meaning("", "Presence")),
    **dict.fromkeys(("count", "counter", "pulse", "total_count"), Meaning("", "Count")),
    "people_count": Meaning("", "CountPeople"),
    "noise": Meaning("", "Sound"),
    "speed": Meaning("", "Speed"),
    "latitude": Meaning("", POSITION),
    "longitude": Meaning("", POSITION),
    "altitude": Meaning("m", POSITION),
    "rssi": Meaning("dBm"),
    "snr": Meaning("dB"),
}

# The units that The Things Stack asks normalizeUplink for, by the whole name.
_NORMALIZED: dict[str, Meaning] = {
    "air.temperature": Meaning("°C", "AirTemperature"),
    "air.relative_humidity": Meaning("%", "AirHumidity"),
    "air.pressure": Meaning("hPa", "AtmosphericPressure"),
    "air.co2": Meaning("ppm", "CO2"),
    "air.light_intensity": Meaning("lx", "Illuminance"),
    "soil.depth": Meaning("cm"),
    "soil.moisture": Meaning("%", "SoilHumidity"),
    "soil.temperature": Meaning("°C", "SoilTemperature"),
    "soil.ec": Meaning("dS/m", "Conductivity"),
    "soil.p_h": Meaning("pH", "PH"),
    "soil.ph": Meaning("pH", "PH"),
    "soil.n": Meaning("ppm"),
    "soil.p": Meaning("ppm"),
    "soil.k": Meaning("ppm"),
    "water.temperature.min": Meaning("°C", "WaterTemperature"),
    "water.temperature.max": Meaning("°C", "WaterTemperature"),
    "water.temperature.avg": Meaning("°C", "WaterTemperature"),
    "water.temperature.current": Meaning("°C", "WaterTemperature"),
    "water.leak": Meaning("", "WaterLevel"),
    "wind.speed": Meaning("m/s", "WindSpeed"),
    "wind.direction": Meaning("°", "WindDirection"),
    "rain.intensity": Meaning("mm/h"),
    "rain.cumulative": Meaning("mm", "Rainfall"),
    "metering.water.total": Meaning("L"),
    "battery": Meaning("V", "BatteryLevel"),
}

# How names end that carry their unit: TempC, Bat_mV, Distance_mm.
_SUFFIXES = _pairs(
    """
    c=°C degc=°C celsius=°C f=°F degf=°F fahrenheit=°F v=V mv=mV volts=V ma=mA amps=A kwh=kWh wh=Wh kw=kW w=W
    pct=% percent=% percentage=% ah=Ah mah=mAh
    ppm=ppm ppb=ppb hpa=hPa kpa=kPa mbar=mbar lux=lx mm=mm cm=cm m=m km=km kmph=km/h kmh=km/h
    mps=m/s deg=° ms=ms s=s sec=s min=min hours=h hz=Hz kg=kg db=dB dbm=dBm rpm=rpm
    """
)
# One letter is too little behind a word that stands for something else: `vitamin_c`, `mode_s`.
_SUFFIX_WORDS: dict[str, tuple[str, ...]] = {
    "c": ("temp", "temperature", "dew_point"),
    "f": ("temp", "temperature"),
    "v": ("bat", "batt", "battery", "voltage", "volt", "ext", "adc", "in", "vdd"),
    "m": ("distance", "altitude", "level", "depth", "height", "alt"),
    "w": ("power",),
    "s": ("uptime", "duration", "interval", "age", "period"),
    "min": ("uptime", "duration", "interval", "age", "period", "time", "delay", "timer", "timeout", "elapsed"),
    "ms": ("uptime", "duration", "interval", "age", "period", "time", "delay", "timer", "timeout", "elapsed"),
}
# What has one of these words is about a measurement, and none itself.
_NOT_MEASURED = _words(
    "alarm alarms alert status state mode enable enabled disable disabled flag event error fault threshold config "
    "setting settings trend reason result valid type calibration"
)
_OF_SETTINGS = _words("alarm alarms threshold config settings calibration")
_STATISTICS = _words("min max avg mean average minimum maximum now last peak")
_WHERE = re.compile(r"_at_(?:depth|level)_[0-9]+\Z|_(?:chn?|channel)_?[0-9]+(?=_|\Z)")
_NEEDS_UNIT = frozenset(("SoilHumidity", "FillLevel", "ReactivePower", "Acceleration"))
_STATES = frozenset(("DoorStatus", "Motion", "Presence", "Count", "CountPeople", POSITION))

# What a sensor can measure; beyond it, the name has another unit in mind.
_PLAUSIBLE: dict[str, tuple[float, float]] = {
    "°C": (-273.15, 2000),
    "°F": (-459.67, 3600),
    "%": (0, 105),
    "V": (-1000, 1000),
    "pH": (0, 14),
    "°": (-360, 360),
    "lx": (0, 300_000),
    "ppm": (0, 1_000_000),
}
_AIR_PRESSURE_HPA = (300, 1200)
_BATTERY_V = 60
_BY_MORE = ("hPa", "V")  # what else a name says bounds these
_BATTERY_MV = (1000, 60_000)
_ACCELERATIONS = _words("acc accel acceleration accelerometer")
_MAINS = _words("phase line mains grid")

# How people write units; Waziup's own ids, too.
_WRITTEN_UNITS = {
    unit.id: symbol for symbol, unit in UNITS.items() if unit.factor == 1 and unit.id not in ("Other", "Dimensionless")
} | _pairs(
    """
    °c=°C ºC=°C ˚C=°C oC=°C degreesC=°C °f=°F ºF=°F ˚F=°F degF=°F fahrenheit=°F Fahrenheit=°F kelvin=K pct=% %rh=%
    Volt=V Volts=V v=V mv=mV uV=µV ma=mA uA=µA amp=A amps=A watt=W watts=W kpa=kPa hpa=hPa mBar=mbar LUX=lx
    litre=L litres=L liters=L m^3=m³ kmh=km/h kph=km/h hz=Hz HZ=Hz db=dB dbm=dBm RPM=rpm secs=s mins=min hrs=h
    meter=m meters=m metre=m metres=m mm/hr=mm/h Kg=kg KG=kg ug/m³=µg/m³ deg/s=°/s
    C=°C ℃=°C degC=°C celsius=°C Celsius=°C F=°F ℉=°F percent=% %RH=% lux=lx Lux=lx volt=V volts=V deg=°
    ug/m3=µg/m³ µg/m3=µg/m³ m/s²=m/s² m/s2=m/s² l=L liter=L m3=m³ uS/cm=µS/cm w=W W/m2=W/m² degrees=° KPa=kPa
    HPa=hPa ml=mL µS⋅cm⁻¹=µS/cm m⋅s⁻¹=m/s m⋅s⁻²=m/s² W⋅m⁻²=W/m² mm⋅h⁻¹=mm/h µg⋅m⁻³=µg/m³ mS⋅cm⁻¹=mS/cm
    µmol⋅m⁻²⋅s⁻¹=µmol/m²/s L⋅min⁻¹=L/min m³⋅h⁻¹=m³/h µW⋅cm⁻²=µW/cm² m³⋅m⁻³=m³/m³ m3/m3=m³/m³ mg⋅L⁻¹=mg/L
    g⋅L⁻¹=g/L mg/l=mg/L l⋅h⁻¹=L/h L⋅h⁻¹=L/h l/h=L/h l/min=L/min cm⋅h⁻¹=cm/h µm⋅m⁻¹=µm/m 1⋅cm⁻³=1/cm³
    pa=Pa Bar=bar kVArh=kvarh
    seconds=s second=s sec=s minutes=min minute=min hours=h hour=h days=d day=d %r.h.=% rH=% Celcius=°C
    µs/cm=µS/cm us/cm=µS/cm %r.h=% um=µm kg⋅m⁻³=kg/m³ m3/h=m³/h PPM=ppm dBA=dB(A) ohm=Ω Ohm=Ω KWh=kWh kwh=kWh
    """
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CAPITAL_VOLTS = re.compile(r"(?:_|(?<=[0-9]))V\Z")  # ADC_CH0V, Bat_V, but not mode_v
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_CAMEL_UNITS = re.compile(r"_?(mV|mA|kPa|hPa|kWh|kW|Wh|dBm)(?![a-z])")


@lru_cache(maxsize=2048)
def meaning_of(name: str, normalized: bool) -> Meaning:
    """Return what the name of a value tells; without the quantity where `describe` finds it too."""
    parts = [part for part in name.split(".") if part]
    words = [words_of(part) for part in parts]
    agreed = (_NORMALIZED.get(".".join(words[-count:])) for count in (3, 2, 1)) if normalized else ()
    found = next(filter(None, agreed), None) or _by_words(words) or Meaning()
    if found.quantity and describe(name, found.unit).quantity == found.quantity:
        return Meaning(found.unit)
    return found


def unit_as_meant(symbol: str, name: str) -> str:
    """Return the unit that a name means by a symbol: the mg of an acceleration are no milligrams."""
    return "milli-g" if symbol == "mg" and not _ACCELERATIONS.isdisjoint(words_of(name).split("_")) else symbol


def unit_of_number(number: int | float, meaning: Meaning, name: str) -> str:
    """Return the unit that a name tells, if the number can have it; millivolts are told from volts."""
    unit = meaning.unit
    if not unit:
        return ""
    least, most = _PLAUSIBLE.get(unit, (number, number))
    if unit not in _BY_MORE and least <= number <= most:
        return unit
    words = frozenset(words_of(name).split("_"))
    of_battery = meaning.quantity == "BatteryLevel" or not words.isdisjoint(("bat", "batt", "battery", "vdd", "supply"))
    if unit == "hPa" and meaning.quantity == "AtmosphericPressure":
        least, most = _AIR_PRESSURE_HPA
    if unit == "V" and of_battery:
        most = _BATTERY_V
    if least <= number <= most:
        return unit
    whole = float(number).is_integer() and _BATTERY_MV[0] <= number <= _BATTERY_MV[1]
    return "mV" if unit == "V" and whole and words.isdisjoint(_MAINS) else ""


def quantity_of_number(meaning: Meaning, unit: str) -> str:
    """Return the quantity of a number, unless it would bring a unit that the number may not have."""
    return "" if unit == "" and meaning.quantity in _NEEDS_UNIT else meaning.quantity


def quantity_of_state(meaning: Meaning) -> str:
    """Return the quantity of a text or truth value: temperatures are numbers, doors have states."""
    return meaning.quantity if meaning.quantity in _STATES else ""


def quantity_of_state_number(name: str, quantity: str) -> str:
    """Return the quantity of the number that stands for a text's state; the text has this name and quantity."""
    found = quantity or describe(name, "").quantity
    return found if found in _STATES else ""


def _by_words(parts: list[str]) -> Meaning | None:
    """Return what the last part of a name tells, alone or with the part before it; None for nothing."""
    if not parts or any(not _OF_SETTINGS.isdisjoint(part.split("_")) for part in parts[:-1]):
        return None
    last = parts[-1]
    found = _exact("_".join(parts[-2:])) or _exact(last)
    if found or not _NOT_MEASURED.isdisjoint(last.split("_")):
        return found
    core = _core(last)
    return _by_suffix(last) or _exact(core) or _by_suffix(core) or _by_ending(core)


def _exact(words: str) -> Meaning | None:
    return _MEANINGS.get(words) or _MEANINGS.get(re.sub(r"_?[0-9]+\Z", "", words))


def _core(words: str) -> str:
    """Return the words without those that tell where, and without minimum, maximum and the like."""
    pieces = _WHERE.sub("", words).split("_")
    while len(pieces) > 1 and pieces[-1] in _STATISTICS:
        pieces.pop()
    while len(pieces) > 1 and pieces[0] in _STATISTICS:
        pieces.pop(0)
    return "_".join(pieces)


def _by_suffix(words: str) -> Meaning | None:
    """Look for a unit behind a word, or behind the first of two: Bat_mV, TempC_SHT."""
    pieces = words.split("_")
    for end in range(len(pieces), 1, -1):
        unit = _SUFFIXES.get(pieces[end - 1])
        stem = "_".join(pieces[: end - 1])
        allowed = _SUFFIX_WORDS.get(pieces[end - 1])
        if pieces[end - 1] == "ms" and not {"speed", "wind", "velocity"}.isdisjoint(pieces):
            return Meaning("m/s", "WindSpeed" if "wind" in pieces else "Speed")
        if unit and (allowed is None or stem in allowed or not set(pieces[: end - 1]).isdisjoint(allowed)):
            about = _MEANINGS.get(stem)
            return Meaning(unit, about.quantity if about else "")
    return None


def _by_ending(words: str) -> Meaning | None:
    """Look for a known word at the end or the start: external_temperature, hum_sht."""
    pieces = words.split("_")
    if "fahrenheit" in pieces:
        return Meaning("°F", "Temperature")
    for start in range(1, len(pieces)):
        found = _MEANINGS.get("_".join(pieces[start:]))
        if found:
            return found
    return (
        _MEANINGS.get(pieces[0])
        if len(pieces) == 2 and pieces[0] in ("temp", "hum", "temperature", "humidity")
        else None
    )


@lru_cache(maxsize=2048)
def words_of(part: str) -> str:
    """Return the words of a name: soilMoisture → soil_moisture, BatmV → bat_mv."""
    apart = _CAMEL_UNITS.sub(lambda match: f"_{match[1].lower()}_", _CAPITAL_VOLTS.sub("_volts", part))
    return _NOT_WORD.sub("_", _CAMEL.sub("_", apart).lower()).strip("_")


def tells_quantity(name: str) -> bool:
    """Tell whether the name of a reading says its quantity, whatever its unit."""
    return describe(name, "") != OTHER


def known_unit(text: str) -> str:
    """Return the symbol of `UNITS` for a unit as codecs write it, "" for an unknown one."""
    plain = "".join(text.split()).replace("\u03bc", "\u00b5").replace("\u2126", "\u03a9")
    plain = _WRITTEN_UNITS.get(plain, plain)
    return plain if plain in UNITS else ""

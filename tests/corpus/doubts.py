"""What can be doubted about one reading. These rules are the test's own: the product is not asked what it thinks."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import Final


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[µ°%]+")
_NUMBER_TEXT: Final = re.compile(r"\s*[-+]?[0-9]+(?:\.[0-9]+)?\s*(?:[A-Za-z%°℃℉µ/³²]{1,8})?\s*(?:\([^()]*\))?\s*")

# Unit symbol → dimension, and how many of the dimension's first unit it is.
_DIMENSIONS: Final[dict[str, tuple[str, float]]] = {
    **{unit: ("temperature", factor) for unit, factor in {"°C": 1, "°F": 2, "K": 3}.items()},
    **{unit: ("share", factor) for unit, factor in {"%": 1, "ppm": 1e-4, "ppb": 1e-7, "m³/m³": 100}.items()},
    **{
        unit: ("pressure", factor)
        for unit, factor in {
            "Pa": 1,
            "hPa": 100,
            "kPa": 1000,
            "mbar": 100,
            "cbar": 1000,
            "bar": 1e5,
            "mmHg": 133,
        }.items()
    },
    **{unit: ("voltage", factor) for unit, factor in {"V": 1, "mV": 1e-3, "µV": 1e-6, "kV": 1000}.items()},
    **{unit: ("current", factor) for unit, factor in {"A": 1, "mA": 1e-3, "µA": 1e-6}.items()},
    **{unit: ("charge", factor) for unit, factor in {"Ah": 1, "mAh": 1e-3, "C": 1 / 3600}.items()},
    **{unit: ("power", factor) for unit, factor in {"W": 1, "kW": 1000, "mW": 1e-3, "µW": 1e-6}.items()},
    **{unit: ("apparent power", factor) for unit, factor in {"VA": 1, "kVA": 1000}.items()},
    **{unit: ("reactive power", factor) for unit, factor in {"var": 1, "kvar": 1000}.items()},
    **{unit: ("energy", factor) for unit, factor in {"Wh": 1, "kWh": 1000, "MWh": 1e6, "J": 1 / 3600}.items()},
    **{unit: ("length", factor) for unit, factor in {"m": 1, "mm": 1e-3, "cm": 1e-2, "km": 1000, "µm": 1e-6}.items()},
    **{unit: ("time", factor) for unit, factor in {"s": 1, "ms": 1e-3, "min": 60, "h": 3600, "d": 86400}.items()},
    **{unit: ("speed", factor) for unit, factor in {"m/s": 1, "km/h": 1 / 3.6}.items()},
    **{unit: ("light", 1) for unit in ("lx",)},
    **{unit: ("volume", factor) for unit, factor in {"L": 1, "mL": 1e-3, "m³": 1000}.items()},
    **{unit: ("mass", factor) for unit, factor in {"g": 1, "mg": 1e-3, "kg": 1000, "t": 1e6}.items()},
    **{unit: ("conductivity", factor) for unit, factor in {"S/m": 1, "dS/m": 0.1, "mS/cm": 0.1, "µS/cm": 1e-4}.items()},
    **{unit: ("frequency", factor) for unit, factor in {"Hz": 1, "kHz": 1000, "MHz": 1e6}.items()},
    **{unit: ("level", 1) for unit in ("dB", "dBm", "dB(A)")},
    "°": ("angle", 1),
    "m/s²": ("acceleration", 1),
}
_MAKERS_SPELLINGS: Final = {
    **dict.fromkeys(("℃", "C", "degC", "° C"), "°C"),
    **dict.fromkeys(("℉", "F"), "°F"),
    **dict.fromkeys(("%RH", "%r.h.", "% RH"), "%"),
    **dict.fromkeys(("lux", "Lux"), "lx"),
    **dict.fromkeys(("m³⋅m⁻³", "m3/m3"), "m³/m³"),
    **dict.fromkeys(("µS⋅cm⁻¹", "μs/cm", "us/cm", "uS/cm", "μS/cm"), "µS/cm"),
    **dict.fromkeys(("m⋅s⁻¹",), "m/s"),
    **dict.fromkeys(("m³",), "m³"),
    **dict.fromkeys(("l", "liter"), "L"),
    **dict.fromkeys(("sec", "second", "seconds"), "s"),
    **dict.fromkeys(("minute", "minutes"), "min"),
}
_SUFFIX_UNITS: Final = {
    "mv": "mV",
    "ma": "mA",
    "ah": "Ah",
    "mah": "mAh",
    "kwh": "kWh",
    "wh": "Wh",
    "kw": "kW",
    "mm": "mm",
    "cm": "cm",
    "hpa": "hPa",
    "kpa": "kPa",
    "mbar": "mbar",
    "bar": "bar",
    "ppm": "ppm",
    "ppb": "ppb",
    "pct": "%",
    "percent": "%",
    "percentage": "%",
    "lux": "lx",
    "hz": "Hz",
    "khz": "kHz",
    "celsius": "°C",
    "fahrenheit": "°F",
    "volt": "V",
    "volts": "V",
    "mps": "m/s",
    "kmh": "km/h",
    "ms": "ms",
    "sec": "s",
    "km": "km",
    "db": "dB",
}
_TIME_WORDS: Final = _set(
    "time interval uptime duration period elapsed timer delay age timeout runtime minutes hours working on off open "
    "occupied vacant since last work running minute"
)
_NOT_MEASURED: Final = _set(
    "alarm alarms status mode enable enabled disable disabled flag event error fault state type config alert trend "
    "reason result valid"
)
_TEMPERATURE_WORDS: Final = _set(
    "temp temperature temperatures tem tc dew dewpoint thermometer thermo celsius c f k pt100 feels heat wbgt t "
    "degc degf ds target setpoint set probe tmp tempc ambient thermocouple junction"
)
_ABOUT: Final = {
    **dict.fromkeys(("temperature", "temp", "dewpoint"), ("temperature",)),
    **dict.fromkeys(("humidity", "hum"), ("share",)),
    **dict.fromkeys(("voltage", "volt"), ("voltage",)),
    "pressure": ("pressure",),
    "current": ("current", "charge"),
    "power": ("power", "apparent power", "reactive power", "share", "voltage"),
    "distance": ("length",),
    "weight": ("mass",),
}
_PHYSICAL_DIMENSIONS: Final = _set("temperature pressure voltage current power energy length speed light conductivity")

_IDENTITY: Final = _set(
    "sn serial serialnumber eui deveui imei imsi iccid mac uuid model product manufacturer vendor brand devid"
)
_IDENTITY_PAIRS: Final = frozenset({("device", "id"), ("device", "name"), ("device", "type"), ("node", "id")})
_VERSION: Final = _set("version ver fw firmware hw hardware sw software fver protocol revision versions")
_ECHO: Final = _set("payload rawdata bytes hex fport cmd command fcnt sequence seq")
_ECHO_PAIRS: Final = frozenset(
    (first, second) for first in ("message", "msg", "frame", "packet") for second in ("id", "type", "count", "counter")
)
_CLOCK: Final = _set("time timestamp ts date datetime rtc utc unix epoch")
_NOT_CONNECTED: Final = frozenset({"32767", "32768", "65535", "65534"})
"""The digits of what probes send that are not there."""

_YEAR_2010_S, _YEAR_2040_S = 1_262_304_000, 2_208_988_800


def words_of(name: str) -> list[str]:
    """Return the words of the last part of a name, in lower case: `a.TempC_min` → temp c min."""
    return [word.lower() for word in _WORD.findall(name.rsplit(".", 1)[-1])]


def noise_kind(name: str, value: object, payload: bytes, fport: int) -> str:
    """Say what a reading tells of the device or the message rather than of the world, "" for nothing."""
    words = words_of(name)
    pairs = set(pairwise(words))
    if _IDENTITY & set(words) or _IDENTITY_PAIRS & pairs:
        return "identity"
    if _VERSION & set(words) and not _NOT_MEASURED & set(words):
        return "version"
    if isinstance(value, str) and len(payload) > 1 and re.sub(r"[^0-9a-f]", "", value.lower()) == payload.hex():
        return "echo"
    if isinstance(value, list) and len(value) > 1 and value == list(payload):
        return "echo"
    if (
        [word for word in words if not word.isdigit()] == ["raw"]
        or _ECHO & set(words)
        or _ECHO_PAIRS & pairs
        or ("port" in words and value == fport)
    ):
        return "echo"
    if _CLOCK & set(words) and moment_s(value) is not None:
        return "clock"
    return ""


def moment_s(value: object) -> float | None:
    """Return the time that a value tells, seconds since 1970 UTC; None for a value that is not a time."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        for seconds in (value, value / 1000):
            if _YEAR_2010_S <= seconds < _YEAR_2040_S:
                return float(seconds)
        return None
    if isinstance(value, str) and re.match(r"20[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}", value):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return None
        return (found if found.tzinfo else datetime.fromisoformat(f"{found.isoformat()}+00:00")).timestamp()
    return None


def is_number_text(value: object) -> bool:
    """Tell whether a text is a number, perhaps with a unit and a remark behind it."""
    if not isinstance(value, str) or not _NUMBER_TEXT.fullmatch(value):
        return False
    return not re.match(r"\s*0[0-9]", value) and len(value) < 40


def unit_doubt(name: str, value: object, unit: str, quantity: str, maker_unit: str) -> str:
    """Say why the unit of a reading cannot be right, "" where nothing speaks against it.

    unit: the symbol that goes out. quantity: Waziup's. maker_unit: what the maker's own table says, "" for nothing.
    """
    words = words_of(name)
    known = set(words)
    dimension, factor = _DIMENSIONS.get(unit, ("", 0.0))
    if maker_unit and unit:
        maker = _DIMENSIONS.get(_MAKERS_SPELLINGS.get(maker_unit, maker_unit))
        if maker and dimension and maker != (dimension, factor):
            return f"the maker says {maker_unit}"
    if _NOT_MEASURED & known:
        if dimension in _PHYSICAL_DIMENSIONS:
            return "an alarm, a status or a mode has no such unit"
        if any(word in quantity for word in ("Temperature", "Humidity", "Pressure", "Power", "Illuminance", "CO2")):
            return f"an alarm, a status or a mode is not a {quantity}"
    if unit == "min" and not _TIME_WORDS & known:
        return "minimum, not minutes"
    suffix = _SUFFIX_UNITS.get(words[-1]) if len(words) > 1 else None
    if suffix and dimension and _DIMENSIONS[suffix] != (dimension, factor):
        return f"the name ends with {words[-1]}"
    if maker_unit:
        return _unlikely(value, unit, dimension, known)
    if dimension and any(word in known and dimension not in _ABOUT[word] for word in _ABOUT):
        return f"not a unit of {', '.join(word for word in _ABOUT if word in known)}"
    if dimension == "temperature" and not _TEMPERATURE_WORDS & known and not re.search("temp|dew", "".join(words)):
        return "nothing in the name speaks of a temperature"
    if ("reactive" in known and dimension == "power") or ("apparent" in known and dimension == "power"):
        return "not active power"
    if "level" in known and unit == "%" and not {"battery", "bat", "batt", "percent", "fill"} & known:
        return "a level without a word of per cent"
    if {"light", "level"} <= known and dimension == "light":
        return "a level of light, not lux"
    if dimension == "mass" and known & {"acc", "acceleration", "accelerometer", "accel"}:
        return "milli-g, not milligrams"
    if dimension == "current" and "ah" in known:
        return "ampere hours"
    return _unlikely(value, unit, dimension, known)


def _unlikely(value: object, unit: str, dimension: str, known: set[str]) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if f"{abs(value):g}".replace(".", "").strip("0") in _NOT_CONNECTED:
        return ""
    limits = {
        "°C": (-280, 2000),
        "%": (-1, 105 if "cpu" not in known else 1000),
        "hPa": (0, 2000),
        "pH": (0, 14.5),
        "lx": (0, 250_000),
        "V": (-1000, 1000),
        "°": (-361, 361),
        "kPa": (-5000, 50_000),
    }.get(unit)
    if dimension == "voltage" and unit == "V" and {"bat", "batt", "battery", "vbat"} & known:
        limits = (0, 60)
    return "" if limits is None or limits[0] <= value <= limits[1] else f"{value} {unit}"

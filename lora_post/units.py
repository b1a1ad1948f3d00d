"""The units of readings, each with Waziup's unit for it.

Source: Waziup/wazicloud-api: data/ontologies/units.json.
"""

from __future__ import annotations

from msgspec import Struct


class WaziupUnit(Struct, frozen=True):
    """A Waziup unit id. factor: how many of it one of the symbol is."""

    id: str
    factor: float = 1.0


# Where the ontology lacks a unit, the factor leads to one it has; `Other` where it has none of the kind.
UNITS: dict[str, WaziupUnit] = {
    # temperature, humidity, shares
    "°C": WaziupUnit("DegreeCelsius"),
    "°F": WaziupUnit("DegreeFahrenheit"),
    "K": WaziupUnit("Kelvin"),
    "%": WaziupUnit("Percent"),
    "ppm": WaziupUnit("PartsPerMillion"),
    "ppb": WaziupUnit("PartsPerBillion"),
    "okta": WaziupUnit("Okta"),
    # pressure
    "Pa": WaziupUnit("Pascal"),
    "hPa": WaziupUnit("Millibar"),
    "kPa": WaziupUnit("KiloPascal"),
    "MPa": WaziupUnit("KiloPascal", 1000.0),
    "mbar": WaziupUnit("Millibar"),
    "cbar": WaziupUnit("Centibar"),
    "bar": WaziupUnit("Bar"),
    "mmHg": WaziupUnit("MillimetreMercure"),
    # electricity
    "µV": WaziupUnit("Microvolt"),
    "mV": WaziupUnit("Millivolt"),
    "V": WaziupUnit("Volt"),
    "kV": WaziupUnit("Volt", 1000.0),
    "V/m": WaziupUnit("VoltPerMetre"),
    "µA": WaziupUnit("Microampere"),
    "mA": WaziupUnit("Milliampere"),
    "A": WaziupUnit("Ampere"),
    "µW": WaziupUnit("Microwatt"),
    "mW": WaziupUnit("Milliwatt"),
    "W": WaziupUnit("Watt"),
    "kW": WaziupUnit("Watt", 1000.0),
    "VA": WaziupUnit("Other"),
    "kVA": WaziupUnit("Other"),
    "VAh": WaziupUnit("Other"),
    "var": WaziupUnit("VoltAmpereReactive"),
    "kvar": WaziupUnit("VoltAmpereReactive", 1000.0),
    "varh": WaziupUnit("Other"),
    "kvarh": WaziupUnit("Other"),
    "J": WaziupUnit("Joule"),
    "Wh": WaziupUnit("KiloWattHour", 0.001),
    "kWh": WaziupUnit("KiloWattHour"),
    "MWh": WaziupUnit("KiloWattHour", 1000.0),
    "C": WaziupUnit("Coulomb"),
    "Ah": WaziupUnit("Coulomb", 3600.0),
    "mAh": WaziupUnit("Coulomb", 3.6),
    "F": WaziupUnit("Farad"),
    "Ω": WaziupUnit("Ohm"),
    "kΩ": WaziupUnit("Ohm", 1000.0),
    "µS": WaziupUnit("MicroSiemens"),
    "S": WaziupUnit("Siemens"),
    "S/m": WaziupUnit("SiemensPerMetre"),
    "dS/m": WaziupUnit("SiemensPerMetre", 0.1),
    "mS/cm": WaziupUnit("SiemensPerMetre", 0.1),
    "µS/cm": WaziupUnit("SiemensPerMetre", 0.0001),
    "T": WaziupUnit("Tesla"),
    "µT": WaziupUnit("Tesla", 0.000001),
    "G": WaziupUnit("Gauss"),
    # light, radiation, sound, radio
    "lx": WaziupUnit("Lux"),
    "lm": WaziupUnit("Lumen"),
    "cd": WaziupUnit("Candela"),
    "W/m²": WaziupUnit("WattPerSquareMetre"),
    "µW/cm²": WaziupUnit("MicrowattPerSquareCentimetre"),
    "µmol/m²/s": WaziupUnit("Other"),
    "cpm": WaziupUnit("RadiationParticlesPerMinute"),
    "dB": WaziupUnit("Decibel"),
    "dB(A)": WaziupUnit("DecibelA"),
    "dBm": WaziupUnit("DecibelMilliwatt"),
    # length, angle, movement; "g" is standard gravity (and gram for a weight, see _GRAM)
    "nm": WaziupUnit("Millimetre", 0.000001),
    "µm": WaziupUnit("Millimetre", 0.001),
    "mm": WaziupUnit("Millimetre"),
    "cm": WaziupUnit("Centimetre"),
    "m": WaziupUnit("Metre"),
    "km": WaziupUnit("Kilometre"),
    "°": WaziupUnit("DegreeAngle"),
    "rad": WaziupUnit("Radian"),
    "°/s": WaziupUnit("DegreeAnglePerSecond"),
    "rad/s": WaziupUnit("RadianPerSecond"),
    "rpm": WaziupUnit("RevolutionsPerMinute"),
    "mm/h": WaziupUnit("MillimetrePerHour"),
    "cm/h": WaziupUnit("MillimetrePerHour", 10.0),
    "m/s": WaziupUnit("MetrePerSecond"),
    "km/h": WaziupUnit("KilometrePerHour"),
    "m/s²": WaziupUnit("MetrePerSecondSquare"),
    "g": WaziupUnit("MetrePerSecondSquare", 9.80665),
    "milli-g": WaziupUnit("MetrePerSecondSquare", 0.00980665),
    "µm/m": WaziupUnit("Other"),
    # time
    "ms": WaziupUnit("Millisecond"),
    "s": WaziupUnit("SecondTime"),
    "min": WaziupUnit("MinuteTime"),
    "h": WaziupUnit("Hour"),
    "d": WaziupUnit("Day"),
    "Hz": WaziupUnit("Hertz"),
    "kHz": WaziupUnit("Hertz", 1000.0),
    "MHz": WaziupUnit("Hertz", 1_000_000.0),
    "bpm": WaziupUnit("BeatPerMinute"),
    # mass, volume, flow, water
    "mg": WaziupUnit("Milligram"),
    "kg": WaziupUnit("Kilogram"),
    "t": WaziupUnit("Tonne"),
    "mL": WaziupUnit("Millilitre"),
    "L": WaziupUnit("Litre"),
    "m³": WaziupUnit("Litre", 1000.0),
    "L/min": WaziupUnit("Other"),
    "L/h": WaziupUnit("Other"),
    "m³/h": WaziupUnit("Other"),
    "µg/m³": WaziupUnit("MicrogramPerCubicMetre"),
    "mg/m³": WaziupUnit("MilligramPerCubicMetre"),
    "g/m³": WaziupUnit("GramPerCubicMetre"),
    "mg/L": WaziupUnit("MilligramPerLitre"),
    "g/L": WaziupUnit("GramPerLitre"),
    "kg/m³": WaziupUnit("KilogramPerCubicMetre"),
    "m³/m³": WaziupUnit("Percent", 100.0),
    "1/cm³": WaziupUnit("Other"),
    "pH": WaziupUnit("Dimensionless"),
    "NTU": WaziupUnit("Other"),
    "FNU": WaziupUnit("Other"),
    "FAU": WaziupUnit("Other"),
}

# Symbols of one dimension: a value times the factor, plus the offset, is in the dimension's first unit.
_SCALES: tuple[dict[str, tuple[float, float]], ...] = (
    {"K": (1, 0), "°C": (1, 273.15), "°F": (5 / 9, 459.67 * 5 / 9)},
    *(
        {symbol: (float(factor), 0.0) for symbol, factor in factors.items()}
        for factors in (
            {"%": 1, "m³/m³": 100, "ppm": 1e-4, "ppb": 1e-7},
            {"Pa": 1, "hPa": 1e2, "mbar": 1e2, "kPa": 1e3, "MPa": 1e6, "cbar": 1e3, "bar": 1e5, "mmHg": 133.322387415},
            {"V": 1, "kV": 1e3, "mV": 1e-3, "µV": 1e-6},
            {"A": 1, "mA": 1e-3, "µA": 1e-6},
            {"W": 1, "kW": 1e3, "mW": 1e-3, "µW": 1e-6},
            {"VA": 1, "kVA": 1e3},
            {"var": 1, "kvar": 1e3},
            {"varh": 1, "kvarh": 1e3},
            {"C": 1, "Ah": 3600, "mAh": 3.6},
            {"J": 1, "Wh": 3600, "kWh": 3.6e6, "MWh": 3.6e9},
            {"Ω": 1, "kΩ": 1e3},
            {"S": 1, "µS": 1e-6},
            {"S/m": 1, "dS/m": 0.1, "mS/cm": 0.1, "µS/cm": 1e-4},
            {"T": 1, "µT": 1e-6, "G": 1e-4},
            {"W/m²": 1, "µW/cm²": 0.01},
            {"m": 1, "km": 1e3, "cm": 1e-2, "mm": 1e-3, "µm": 1e-6, "nm": 1e-9},
            {"rad": 1, "°": 0.017453292519943295},
            {"rad/s": 1, "°/s": 0.017453292519943295, "rpm": 0.10471975511965977},
            {"m/s": 1, "km/h": 1 / 3.6},
            {"mm/h": 1, "cm/h": 10},
            {"m/s²": 1, "milli-g": 0.00980665},
            {"s": 1, "ms": 1e-3, "min": 60, "h": 3600, "d": 86400},
            {"Hz": 1, "kHz": 1e3, "MHz": 1e6},
            {"kg": 1, "t": 1e3, "mg": 1e-6},
            {"L": 1, "mL": 1e-3, "m³": 1e3},
            {"µg/m³": 1, "mg/m³": 1e3, "g/m³": 1e6},
            {"mg/L": 1, "g/L": 1e3},
        )
    ),
)


def conversion(symbol: str, to: str) -> tuple[float, float] | None:
    """Return factor and offset from values in one unit to those in another, None between different dimensions."""
    for scale in _SCALES:
        if symbol in scale and to in scale:
            (factor, offset), (to_factor, to_offset) = scale[symbol], scale[to]
            return factor / to_factor, (offset - to_offset) / to_factor
    return None


def tidy(number: float) -> float:
    """Return a result with 12 digits, more than any sensor has: 22.99 for 22.990000000000002."""
    return float(f"{number:.12g}")

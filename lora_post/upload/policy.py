"""How patient and how careful an uploader is: the numbers that it uses, with their reasons."""

from __future__ import annotations

from msgspec import Struct


class UploadPolicy(Struct, frozen=True, kw_only=True):
    """The numbers that an uploader uses. A test that cannot wait passes others."""

    max_batch: int = 100
    """Readings in one request. The server stores them one by one, so more only risks a time-out."""

    share_write_for_s: float = 0.25
    """Confirmed readings leave the queue together: a synced write takes as long as a request on a fast network."""

    fresh_for_s: float = 900.0
    """A sensor whose oldest queued reading is younger has no backlog, and does not wait behind those of others."""

    idle_s: float = 5.0
    """How soon readings are seen that another process has queued."""

    search_share: float = 0.05
    """So much of the time may go into searching the queue for them: with very many sensors it takes long."""

    look_again_s: float = 60.0
    """While [upload] forbids sending: the clock may be set meanwhile."""

    first_pause_s: float = 1.0
    """After the first failure; doubled after each further one, and shortened by chance down to a half."""

    max_sink_pause_s: float = 60.0
    """While the destination is in trouble: readings go out within a minute of its return."""

    max_lane_pause_s: float = 600.0
    """While one sensor is in trouble: the others go out meanwhile."""

    max_retry_after_s: float = 3600.0
    """The longest pause that a server is granted when it asks for one."""

    rest_after_trouble: float = 4.0
    """A sensor rests so many times as long as its failed request took: it may use a fifth of the time."""

    ask_after_s: float = 2.0
    """When no answer came, the server has as a rule stored the batch after so long, and nothing waits any longer."""

    ask_after_per_reading_s: float = 0.05
    """And so much more for each reading, since it stores them one by one."""

    late_s: float = 120.0
    """So long after a connection was cut a server may still act on the request; see docs/delivery.md."""

    late_per_reading_s: float = 0.5
    """And so much longer for each reading, when it is slow."""

    pace_s: float = 30.0
    """A server that is still adding readings then is asked again: Waziup gives up on a value that takes longer."""

    note_every_s: float = 3600.0
    """How often it is written down from when on readings were sent that may still be queued: a look after a kill
    goes through the history from there on."""

    note_every_readings: int = 500
    """And after so many readings."""

    doubted_after_kill: int = 10_000
    """A sensor's oldest readings that may have been under way: many may have come in before those since."""

    refusals_before_parking: int = 3
    """Single readings refused in a row until the fault is the sensor's, not a value's."""

    parked_for_s: float = 24 * 3600.0
    """A parked sensor is tried again by itself: its device may have changed hands, or been made public."""

    look_for_parked_every_s: float = 3600.0
    """How often the queue is searched for such sensors."""

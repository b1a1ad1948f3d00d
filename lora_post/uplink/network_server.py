"""From a network server's uplink to the device that it is about."""

from __future__ import annotations

from lora_post.errors import UnknownDevice
from lora_post.model import ClearUplink, FindSessions, Link, Session, Uplink


def resolve(event: ClearUplink, find: FindSessions) -> tuple[Uplink, Session]:
    """Find the device by its DevEUI. Raises UnknownDevice with the lines that would let it in.

    The MIC was the server's business, and so are counters: they start again when a device joins again.
    """
    sessions = find(Link.SERVER, event.dev_eui)
    if not sessions:
        raise UnknownDevice(
            f"no device has DevEUI {event.dev_eui:016x}; add a [[device]] with "
            f'dev_eui = "{event.dev_eui:016x}" and a decoder, without dev_addr and keys'
        )
    session = sessions[0]
    return Uplink(event.frame, session.device, event.fcnt, event.fport, event.payload, False), session

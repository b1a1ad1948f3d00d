"""Send commands to devices with LowCostLoRaGw's header after their next frame, in clear.

They take each frame that is for their address, also the same one again: so one that may have been sent is not sent
again. Their own frames prove nothing, so anybody near them can have a downlink sent while its device does not listen.

Source: CongducPham/LowCostLoRaGw: gw_full_latest/SX12XX_lora_gateway.cpp, for the header of a downlink.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from lora_post.command import Sealed
from lora_post.downlink.command_frames import CommandFrames
from lora_post.downlink.commands import Book
from lora_post.downlink.transmit import Downlink, Transmitter
from lora_post.downlink.windows import lowcost_window
from lora_post.lorawan.region import Region
from lora_post.lowcost.header import DATA, DOWNLINK, GATEWAY, Header, build_header
from lora_post.uplink.model import Uplink
from lora_post.uplink.sessions import session_key

_COUNTER: Final = 256


def lowcost_answer(
    uplink: Uplink, region: Region, frames: CommandFrames, book: Book, transmitter: Transmitter | None
) -> Downlink | None:
    """Return the downlink after an uplink of such a device, and note it; None for nothing."""
    device, gateway, commands = uplink.device, uplink.frame.gateway, frames.commands
    for command in commands.due(device, book):
        if command.is_open:
            commands.end_perhaps_sent(book, command)
            continue
        window = lowcost_window(uplink.frame, region)
        if transmitter is None or transmitter.station(gateway) is None:
            commands.why_not(book, [command], f"gateway {gateway}, which heard the device, cannot send")
        elif window is None or device.address is None:
            why = f"gateway {gateway} does not tell when the frame came, or it is not of the [network] region"
            commands.why_not(book, [command], why)
        elif not frames.allowed(gateway, [window], len(command.payload)):
            commands.why_not(book, [command], frames.why_not(gateway, [window], len(command.payload)))
        else:
            number = book.take_fcnt_down(device, is_app=True) % _COUNTER
            header = Header(device.address, DATA | DOWNLINK, GATEWAY, number)
            sealed = Sealed(session_key(device), number, build_header(header) + command.payload)
            frames.spend(gateway, window, sealed.phy_payload)
            given = replace(command, is_confirmed=False)
            commands.handed_over(book, given, sealed, gateway)
            return Downlink(given.about, gateway, sealed.phy_payload, (window,), commands.tell(given))
        return None
    return None

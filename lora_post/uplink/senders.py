"""Who a frame says that it is from; nothing of it is proved."""

from __future__ import annotations

from lora_post.errors import FrameError
from lora_post.lorawan.join_messages import parse_join_request
from lora_post.lorawan.phy_payload import MType, message_type, parse_data_frame
from lora_post.lowcost.header import parse_header
from lora_post.model import Frame, Link, address_text
from lora_post.uplink.joins import is_join
from lora_post.uplink.unlock import link_of


def claimed_sender(frame: Frame) -> str:
    """Return the address that a device of this frame would have, as `Device.address_text`; "" where it tells none.

    That is DevAddr (8 hex digits), the DevEUI of a join-request (16), or a source address (decimal).
    """
    try:
        link = frame.link or link_of(frame.phy_payload)
        if link is Link.LOWCOST:
            return address_text(link, parse_header(frame.phy_payload).src)
        if is_join(frame):
            is_request = message_type(frame.phy_payload) is MType.JOIN_REQUEST
            return address_text(Link.SERVER, parse_join_request(frame.phy_payload).dev_eui) if is_request else ""
        return address_text(link, parse_data_frame(frame.phy_payload).dev_addr)
    except FrameError:
        return ""

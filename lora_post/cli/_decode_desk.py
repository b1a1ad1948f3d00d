"""Hold what frames and payloads are explained with: keys by hand, and what the configuration says of devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from lora_post.cli._explained import UNNAMED
from lora_post.cli._hand_keys import HandKeys
from lora_post.clocks.scale import now_us
from lora_post.decoding.choice import Decoding, decoder_names
from lora_post.decoding.decode import run
from lora_post.decoding.hangs import LimitedDecoding
from lora_post.decoding.time_limit import TimeLimit
from lora_post.decoding.unit_slips import slips_in
from lora_post.lorawan.session_keys import AnySessionKeys
from lora_post.lowcost import header as lowcost
from lora_post.model import CodecFunction, Decoder, Device, Frame, Link, RxInfo, address_text
from lora_post.times import WallUs
from lora_post.uplink.joins import is_join
from lora_post.uplink.model import Report, Session, Uplink
from lora_post.uplink.senders import claimed_sender
from lora_post.uplink.unlock import link_of


class Desk(Struct, frozen=True):
    """Keys, decoders and devices to explain with.

    keys, decoder: given by hand; they go before what the configuration says of a device.
    alone: there is no configuration, so no device can be unknown to it. received_us: None for now.
    watch: ends decoders that hang.
    """

    gateway: str
    devices: Sequence[Device]
    decoders: Mapping[str, Decoder]
    decoder: str | None
    keys: HandKeys
    alone: bool
    received_us: WallUs | None
    watch: TimeLimit

    @property
    def time_us(self) -> WallUs:
        """When what is explained was received."""
        return now_us() if self.received_us is None else self.received_us

    def asker(self, phy_payload: bytes) -> Device | None:
        """Return the device that a join is taken to be of, None without a root key by hand."""
        root = self.keys.root(phy_payload)
        if root is None:
            return None
        known = [device for device in self.devices if device.root is not None and device.root.dev_eui == root.dev_eui]
        return replace(known[0], root=root) if known else replace(stand_in(Link.LORAWAN, 0, None), root=root)

    def sessions(self, phy_payload: bytes, link: Link, address: int) -> list[Session]:
        """Return whose frame this may be, as sessions of devices that were never heard."""
        known = [device for device in self.devices if (device.link, device.address) == (link, address)]
        clear = link is Link.LOWCOST and not phy_payload[1] & lowcost.ENCRYPTED
        if self.keys.session is not None and not clear:
            same_keys = [device for device in known if device.keys == self.keys.session]
            known = same_keys or ([replace(known[0], keys=self.keys.session)] if len(known) == 1 else [])
        if not known and clear and (self.alone or self.decoder is not None):
            known = [stand_in(link, address, None)]
        elif not known and self.keys.session is not None and not clear:
            known = [stand_in(link, address, self.keys.session)]
        if self.decoder is not None:
            known = [_read_by(device, self.decoder) for device in known]
        return [Session(device) for device in known]

    def suspects(self, phy_payload: bytes) -> list[Device]:
        """Return the devices in whose keys or addresses a mistake may be, those with keys by hand first."""
        asker = self.asker(phy_payload)
        frame = Frame(self.gateway, self.time_us, phy_payload, RxInfo())
        sender = "" if self.keys.session is None or is_join(frame) else claimed_sender(frame)
        found = [] if asker is None else [asker]
        if sender:
            link = link_of(phy_payload)
            address = int(sender, 16 if link is Link.LORAWAN else 10)
            found += [session.device for session in self.sessions(phy_payload, link, address)]
        return [*found, *self.devices]

    def report(self, uplink: Uplink) -> Report:
        """Return the report of an uplink, with a warning of units that mean something else than their author."""
        report = self._decoded(uplink)
        slips = tuple(map(str, slips_in(report.readings)))
        return replace(report, warnings=report.warnings + slips) if slips else report

    def _decoded(self, uplink: Uplink) -> Report:
        """Return the report of an uplink. A codec gets an empty payload, too."""
        decoder = self.decoders.get(self.decoder or "")
        if decoder is not None and isinstance(decoder.decode, CodecFunction) and not uplink.payload and uplink.fport:
            return run(uplink, decoder)
        if decoder_names(uplink.device) or uplink.fport == 0 or not uplink.payload:
            return LimitedDecoding(Decoding((), self.decoders), self.decoders, self.watch).decode(uplink)
        return Report(uplink, (), (), "no decoder is named; add --decoder, see `lora-post decoders`")


def _read_by(device: Device, decoder: str) -> Device:
    """Return the device with another decoder, without the options of its own one."""
    if decoder in decoder_names(device):
        return replace(device, decoder=decoder, decoder_by_fport={})
    return replace(device, decoder=decoder, decoder_by_fport={}, options={}, sensors=())


def stand_in(link: Link, address: int, keys: AnySessionKeys | None) -> Device:
    """Return a device that no configuration names, with keys by hand."""
    return Device(UNNAMED, f"device {address_text(link, address)}", link, address, "", keys)

"""Make the systemd units for a configuration: lora-post, and its radio program.

A radio program runs as a unit of its own and writes into a FIFO that systemd holds open. Neither end notices when
the other one starts again, and what is heard meanwhile waits in the FIFO. The radio program may be root, as
those that open /dev/mem must be; lora-post, which talks to networks, is not.

Sources: systemd.unit(5), systemd.service(5), systemd.socket(5), systemd.exec(5), systemd.resource-control(5).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from lora_post.config import Config
from lora_post.errors import ConfigError
from lora_post.sinks import SINKS
from lora_post.sinks.destination import NeededFile

USER: Final = "lora-post"
STATE: Final = Path("/var/lib/lora-post")
SERVICE: Final = "lora-post.service"
RADIO: Final = "lora-post-radio.service"
FIFO: Final = "lora-post-radio.socket"
SYSUSERS: Final = f'u {USER} - "LoRa gateway" {STATE}\n'

_FIFO_PATH: Final = "/run/lora-post-radio"
# What ProtectHome and PrivateTmp take away.
_HIDDEN: Final = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
_ON_BOARD: Final = re.compile(r"/dev/(ttyAMA|ttyS|serial)[0-9]+")
# Majors, as a USB port that is not plugged in has no other name. Source: Linux, admin-guide/devices.txt.
_USB_MAJORS: Final = {"ttyUSB": ("188",), "ttyACM": ("166",)}
_MARK: Final = re.compile(r"# Written by `lora-post service`, checksum ([0-9a-f]{8})\. .*\n")

_SERVICE: Final = """\
[Unit]
Description=lora-post: LoRa frames to sensor values
After=network-online.target time-sync.target{after}
Wants=network-online.target{wants}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload={reload}
User={user}
Group={user}
StateDirectory=lora-post
StateDirectoryMode=0750
UMask=0077
# It feeds the watchdog only while every input and every destination gets on.
WatchdogSec=2min
# A large spool of an earlier version is brought up to date before it is ready.
TimeoutStartSec=15min
TimeoutStopSec=30s
Restart=always
RestartSec=15s
MemoryMax=256M
TasksMax=64
LogRateLimitIntervalSec=1min
LogRateLimitBurst=1000
{extra}
# What it may not do.
{devices}
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# To ask the kernel whether the clock is set; setting it takes a capability, and there is none.
SystemCallFilter=adjtimex clock_adjtime clock_adjtime64
{sandbox}
CapabilityBoundingSet=
PrivateUsers=yes
RestrictRealtime=yes

[Install]
WantedBy=multi-user.target
"""

_UNBUFFERED: Final = "/usr/bin/stdbuf -oL "
_RADIO: Final = """\
[Unit]
Description=Radio program of lora-post
Requires={fifo}
After={fifo}
# Stopped after lora-post, but neither when that is restarted nor when it fails.
StopWhenUnneeded=yes
StartLimitIntervalSec=0

[Service]
# Each line as it is printed: what is not written to a terminal waits until 4 kB are full, for hours.
ExecStart={unbuffered}{command}
WorkingDirectory={folder}
StandardOutput=file:{path}
Restart=always
RestartSec=15s
TimeoutStopSec=10s
MemoryMax=128M
TasksMax=32
LogRateLimitIntervalSec=1min
LogRateLimitBurst=100

# The radio's bus and pins. Anything else: systemctl edit {radio}
DevicePolicy=closed
DeviceAllow=char-spi rw
DeviceAllow=char-gpiochip rw
DeviceAllow=/dev/gpiomem rw
DeviceAllow=/dev/mem rw
CapabilityBoundingSet=CAP_SYS_RAWIO CAP_SYS_NICE
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@mount @swap @reboot @module @debug
{sandbox}
"""

_FIFO: Final = """\
[Unit]
Description=What the radio program of lora-post hears
StopWhenUnneeded=yes

[Socket]
ListenFIFO={path}
SocketMode=0600
# Some thousand frames wait here while lora-post starts anew.
PipeSize=1M
FileDescriptorName=radio
RemoveOnStop=yes
Service={service}
"""

_SANDBOX: Final = """\
SystemCallErrorNumber=EPERM
SystemCallArchitectures=native
NoNewPrivileges=yes
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private"""


class Place(Struct, frozen=True):
    """Where the lora-post command and the configuration file are, as the service sees them.

    root: what will be its /, an SD card's for example.
    """

    command: Path
    config: Path
    root: Path = Path("/")


def inside(path: Path, root: Path) -> Path:
    """Return a path as it is called when `root` is the root."""
    return Path("/") / path.relative_to(root) if path.is_relative_to(root) else path


def units(config: Config, place: Place, radio: Sequence[str] = ()) -> dict[str, str]:
    """Return the text of each unit by file name.

    radio: the program that writes frames to its stdout, and its arguments.

    Raises ConfigError when an input needs a radio program and there is none, or no input listens to the one there is.
    """
    reads_stdin = any(item.url.startswith("stdin:") for item in config.inputs)
    if reads_stdin and not radio:
        raise ConfigError(
            f"{config.path}: frames come from stdin, and the radio program that prints them is not named",
            fix="add it at the end of this command, as: -- /opt/lora_gateway/lora_gateway --raw",
        )
    if radio and not reads_stdin:
        raise ConfigError(f'{config.path}: no [[input]] has url = "stdin:", so nothing would read from {radio[0]}')
    if radio and not radio[0].startswith("/"):
        raise ConfigError(f"the radio program is {radio[0]!r}", fix="give its whole path, such as /opt/radio/program")
    names = {"service": SERVICE, "radio": RADIO, "fifo": FIFO, "path": _FIFO_PATH, "sandbox": _SANDBOX, "user": USER}
    service = _SERVICE.format_map(
        names
        | {
            "command": _command_line((str(place.command), "run", "-c", str(place.config))),
            "reload": _command_line((str(place.command), "reload", "-c", str(place.config))),
            "after": f" {FIFO}" if radio else "",
            "wants": f" {RADIO}\nRequires={FIFO}" if radio else "",
            "devices": "\n".join(_devices(config)),
            "extra": "".join(f"{line}\n" for line in _extra(config, place, radio)),
        }
    )
    if any(line.startswith("SupplementaryGroups") for line in _devices(config)):
        service = service.replace("PrivateUsers=yes\n", "")  # group dialout would be nobody's in there
    made = {SERVICE: service}
    if radio:
        folder = _quoted(str(Path(radio[0]).parent))
        made[FIFO] = _FIFO.format_map(names)
        made[RADIO] = _RADIO.format_map(
            names | {"unbuffered": _UNBUFFERED, "command": _command_line(radio), "folder": folder}
        )
    return {name: marked(text) for name, text in made.items()}


def _devices(config: Config) -> Iterator[str]:
    ports = [unquote(urlsplit(item.url).path) for item in config.inputs if item.url.startswith("serial:")]
    if not ports:
        yield "PrivateDevices=yes"
        return
    yield "DevicePolicy=closed"
    on_board = {port for port in ports if _ON_BOARD.fullmatch(port)}
    usb = {major for port in ports if port not in on_board for major in _usb_majors(port)}
    for port in sorted(on_board):
        yield f"DeviceAllow={port} rw"
    if usb:
        yield "# Serial ports on USB, also those that are plugged in later: major 188 is ttyUSB, 166 is ttyACM."
    for major in sorted(usb, reverse=True):
        yield f"DeviceAllow=char-{major} rw"
    yield "SupplementaryGroups=dialout"


def _usb_majors(port: str) -> tuple[str, ...]:
    return next((majors for name, majors in _USB_MAJORS.items() if name in port), ("188", "166"))


def _extra(config: Config, place: Place, radio: Sequence[str]) -> Iterator[str]:
    if radio:
        yield f"Sockets={FIFO}"
        yield "StandardInput=fd:radio"
        yield "StandardOutput=journal"  # the default would be the other end of the FIFO
    for folder in outside_folders(config, place):
        yield f"ReadWritePaths={_quoted(str(folder))}"


def _needed_files(config: Config, place: Place) -> Iterator[NeededFile]:
    """Yield the other files that a run needs, with their paths as the service sees them."""
    files = [NeededFile("[spool] path", config.spool_path, is_written=True)]
    if config.decoder_folder is not None:
        files.append(NeededFile("[decoders] folder", config.decoder_folder, is_written=False))
    files += [NeededFile("[[input]] ca_file", item.ca_file, is_written=False) for item in config.inputs if item.ca_file]
    for name, settings in config.destinations.items():
        files += SINKS[name].files(settings)
    for file in files:
        yield replace(file, path=inside(file.path, place.root))


def outside_folders(config: Config, place: Place) -> list[Path]:
    """Return the folders in which the service writes beside its own."""
    folders = {file.path.parent for file in _needed_files(config, place) if file.is_written}
    return sorted(folder for folder in folders if not folder.is_relative_to(STATE))


def hidden(config: Config, place: Place, radio: Sequence[str] = ()) -> list[str]:
    """Return what the services need and would not see, one line each. radio: as for `units`."""
    needed = [
        ("the command", place.command, "install lora-post below /opt or /usr/local, see docs/installation.md"),
        ("the configuration", place.config, "move it to /etc/lora-post"),
        *(
            (file.key, file.path, f"put it below {STATE if file.is_written else '/etc/lora-post'}")
            for file in _needed_files(config, place)
        ),
    ]
    if radio:
        needed.append(("the radio program", Path(radio[0]), "install it below /opt or /usr/local"))
    lines = [
        f"{what} is {path}, which a service does not see; {fix}"
        for what, path, fix in needed
        if any(path.is_relative_to(folder) for folder in _HIDDEN)
    ]
    if radio and not os.access(place.root / Path(radio[0]).relative_to("/"), os.X_OK):
        lines.append(f"the radio program is {radio[0]}, and there is no such program")
    return lines


def radio_program(unit: str) -> tuple[str, ...]:
    """Return the radio program that a unit of lora-post starts, and its arguments; nothing when it cannot be told."""
    found = re.search(r"(?m)^ExecStart=(.*)$", unit)
    try:
        words = shlex.split(found[1].removeprefix(_UNBUFFERED)) if found else []
    except ValueError:
        return ()
    return tuple(word.replace("$$", "$").replace("%%", "%") for word in words)


def _command_line(words: Sequence[str]) -> str:
    return " ".join(_quoted(word).replace("$", "$$") for word in words)


def _quoted(word: str) -> str:
    """Return a word as systemd.syntax(7) reads it.

    Raises ConfigError for one that a unit cannot hold.
    """
    if not word.isprintable():
        raise ConfigError(f"{word!r} has characters that cannot stand in a systemd unit")
    word = word.replace("%", "%%")
    if re.fullmatch(r"[\w@%+=:,./$-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def marked(text: str) -> str:
    """Return a unit with a first line that shows later whether it was changed by hand."""
    sum_of = crc32(text.encode())
    return f"# Written by `lora-post service`, checksum {sum_of:08x}. To change it: systemctl edit\n{text}"


def is_untouched(text: str) -> bool:
    """Tell whether a unit is as a lora-post wrote it."""
    mark = _MARK.match(text)
    return mark is not None and marked(text[mark.end() :]) == text

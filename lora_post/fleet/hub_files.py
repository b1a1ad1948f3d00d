"""Write the files of `lora-post fleet init`.

Servers with TLS and accounts, keys, and what gateways and workers begin with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Final

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import Struct

from lora_post.fleet.home.offers import look_subject, offer_subject
from lora_post.fleet.hub.subjects import TO_ALL, down_subject, hub_subject, token

PORT: Final = 4222
CLUSTER: Final = 2000
"""The port for the other servers is so far above the one for clients; that for monitoring twice as far."""
VALID_DAYS: Final = 3650
CA: Final = "ca.pem"
ACCOUNTS: Final = "accounts.conf"
DEVICES: Final = "devices"
"""The file with the ids of a home gateway's devices, beside its key: in their logs alone it may write."""
UNIT: Final = "nats-server.service"

_UNIT_TEXT: Final = """\
[Unit]
Description=nats-server: hub of a lora-post fleet
After=network-online.target time-sync.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
# Found in /usr/local/bin or /usr/bin.
ExecStart=nats-server -c nats.conf
ExecReload=/bin/kill -HUP $MAINPID
# This folder lies in /var/lib/lora-post-hub; at the first start it becomes the service's own.
DynamicUser=yes
StateDirectory=lora-post-hub
StateDirectoryMode=0700
WorkingDirectory=%S/lora-post-hub
UMask=0077
TimeoutStopSec=30s
Restart=always
RestartSec=5s
LimitNOFILE=65536

# What it may not do.
CapabilityBoundingSet=
NoNewPrivileges=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
"""
"""Sources: systemd.exec(5), on DynamicUser= and StateDirectory=; nats-server's util/nats-server-hardened.service."""

_SIGNS: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Hub(Struct, frozen=True):
    """A server of the hub, by its name or address."""

    host: str
    port: int = PORT

    @classmethod
    def of(cls, text: str) -> Hub:
        """Return the server of HOST or HOST:PORT. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        return cls(host, int(port)) if colon and host else cls(text)

    @property
    def url(self) -> str:
        return f"tls://{self.host}:{self.port}"


class Files:
    """A folder with the files of a fleet; what is there stays, so that `init` can add to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.written: list[Path] = []

    def write(self, name: str, data: str | bytes, *, is_secret: bool = False) -> None:
        """Write a file anew."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600 if is_secret else 0o644)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        self.written.append(path)

    def once(self, name: str, data: str | bytes, *, is_secret: bool = False) -> bytes:
        """Write a file unless it is there; return what it has."""
        path = self._folder / name
        if not path.exists():
            self.write(name, data, is_secret=is_secret)
        return path.read_bytes()

    def has(self, name: str) -> bool:
        return (self._folder / name).exists()

    def names(self, pattern: str) -> list[str]:
        """Return the folders with files like this."""
        return sorted(path.parent.name for path in self._folder.glob(pattern))


def write_fleet(
    folder: Path,
    hubs: Sequence[Hub],
    gateways: Sequence[str],
    workers: Sequence[str],
    homes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[Path]:
    """Write, or add to, the files of a fleet; return those that are new or changed.

    homes: devices by their home gateways, which are gateways as well.
    """
    files = Files(folder)
    authority = _authority(files)
    for number, hub in enumerate(hubs, 1):
        _write_server(files, number, hub, hubs, authority)
    for name, devices in homes.items():
        known = files.once(f"gateways/{name}/{DEVICES}", "").decode().split()
        files.write(f"gateways/{name}/{DEVICES}", "".join(f"{each}\n" for each in dict.fromkeys([*known, *devices])))
    for kind, names in (("gateways", dict.fromkeys([*gateways, *homes])), ("workers", workers)):
        for name in names:
            seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
            files.once(f"{kind}/{name}/{name}.nk", seed, is_secret=True)
            files.once(f"{kind}/{name}/{CA}", authority[0].public_bytes(serialization.Encoding.PEM))
            is_home = files.has(f"{kind}/{name}/{DEVICES}")
            text = _gateway_toml(name, hubs, is_home=is_home) if kind == "gateways" else _worker_toml(name, hubs)
            files.once(f"{kind}/{name}/lora-post.toml", text, is_secret=True)
    accounts = "\n".join(_accounts(folder, files))
    for number in range(1, len(hubs) + 1):
        files.write(f"hub/{number}/{ACCOUNTS}", accounts)
    return files.written


def _accounts(folder: Path, files: Files) -> Iterator[str]:
    yield "# Who may do what; `lora-post fleet init` adds to it. To shut one out, take out its line and reload."
    yield "accounts { LP { jetstream: enabled, users: ["
    for name in files.names("gateways/*/*.nk"):
        public = _public(folder / "gateways" / name / f"{name}.nk")
        part = token(name)
        may_publish = [f"raw.*.*.{part}", f"gw.{part}.*"]
        may_hear = [hub_subject(name), TO_ALL, down_subject(name), f"_INBOX_{part}.>"]
        if files.has(f"gateways/{name}/{DEVICES}"):
            devices = (folder / "gateways" / name / DEVICES).read_text().split()
            may_publish += [look_subject(name), *(f"log.*.{token(device)}" for device in devices)]
            may_hear.append(offer_subject(name))
        publish, subscribe = json.dumps(may_publish), json.dumps(may_hear)
        may = f'publish: {publish}, subscribe: {subscribe}, allow_responses: {{max: 1, expires: "20s"}}'
        yield f"  {{nkey: {public}, permissions: {{{may}}}}}  # gateway {name}"
    for name in files.names("workers/*/*.nk"):
        yield f"  {{nkey: {_public(folder / 'workers' / name / f'{name}.nk')}}}  # worker {name}"
    yield "] } }"


def _public(seed: Path) -> str:
    return str(nkeys.from_seed(bytearray(seed.read_bytes().strip())).public_key.decode())


def _write_server(
    files: Files,
    number: int,
    hub: Hub,
    hubs: Sequence[Hub],
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
) -> None:
    name = f"hub/{number}"
    if not files.has(f"{name}/key.pem"):
        certificate, key = _certificate(hub.host, authority)
        files.write(f"{name}/key.pem", _pem(key), is_secret=True)
        files.write(f"{name}/cert.pem", certificate.public_bytes(serialization.Encoding.PEM))
    files.once(f"{name}/{CA}", authority[0].public_bytes(serialization.Encoding.PEM))
    tls = 'cert_file: "cert.pem", key_file: "key.pem", ca_file: "ca.pem"'
    routes = ", ".join(f'"tls://{each.host}:{each.port + CLUSTER}"' for each in hubs if each != hub)
    cluster = (
        f'cluster {{ name: "fleet", listen: "0.0.0.0:{hub.port + CLUSTER}", routes: [{routes}],\n'
        f"  tls {{ {tls}, verify: true }} }}\n"
        if routes
        else ""
    )
    files.once(f"{name}/{UNIT}", _UNIT_TEXT)
    files.write(
        f"{name}/nats.conf",
        f'# Started in this folder, as by {UNIT}: nats-server -c nats.conf\nserver_name: "hub-{number}"\n'
        f'listen: "0.0.0.0:{hub.port}"\nhttp: "127.0.0.1:{hub.port + 2 * CLUSTER}"  # for lora-post check\n'
        f"tls {{ {tls} }}\n{cluster}"
        "# always: what is acknowledged survives a power cut; the default writes it down up to two minutes later.\n"
        f'jetstream {{ store_dir: "data", sync_interval: always }}\ninclude "{ACCOUNTS}"\n',
    )


def _fleet_table(name: str, hubs: Sequence[Hub], role: str) -> str:
    servers = ", ".join(f'"{hub.url}"' for hub in hubs)
    replicas = 3 if len(hubs) >= 3 else 1
    return (
        f'[fleet]\nservers = [{servers}]\nrole = {role}\nnkey_file = "{name}.nk"\nca_file = "{CA}"\n'
        f"replicas = {replicas}\n"
    )


def _gateway_toml(name: str, hubs: Sequence[Hub], *, is_home: bool) -> str:
    role = '["gateway", "home"]' if is_home else '"gateway"'
    return (
        f'[gateway]\nid = "{name}"\n\n{_fleet_table(name, hubs, role)}\n'
        '# Where its frames come from; see docs/inputs.\n[[input]]\nurl = "udp://127.0.0.1:1700"\n'
    ) + (_home_toml(name) if is_home else "")


def _home_toml(name: str) -> str:
    return (
        '\n[network]\nregion = "EU868"\n\n'
        "# Its own devices alone, as on the workers, here or in devices.toml beside this file:\n"
        f'# [[device]]\n# id = "pond-1"\n# home = "{name}"\n'
    )


def _worker_toml(name: str, hubs: Sequence[Hub]) -> str:
    return (
        f'[gateway]\nid = "{name}"\n\n{_fleet_table(name, hubs, "[" + chr(34) + "worker" + chr(34) + "]")}\n'
        '# One of the workers sends the readings: role = ["worker", "uploader"], and a destination, as\n'
        '# [waziup]\n# username = "…"\n# password_file = "waziup.password"\n\n'
        "# The devices, the same on all workers, here or in devices.toml beside this file:\n"
        '# [[device]]\n# id = "pond-1"\n# dev_addr = "26011bda"\n# decoder = "cayenne-lpp"\n# nwk_skey = "…"\n'
        '# app_skey = "…"\n'
    )


def _authority(files: Files) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if not files.has("ca-key.pem"):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lora-post fleet")])
        builder = (
            _builder(name, name, key, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS, critical=True)
        )
        files.write("ca-key.pem", _pem(key), is_secret=True)
        files.write(CA, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    loaded = serialization.load_pem_private_key(files.once("ca-key.pem", b""), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError("ca-key.pem is not a key of an elliptic curve")
    return x509.load_pem_x509_certificate(files.once(CA, b"")), loaded


def _certificate(
    host: str, authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    issuer, issuer_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    with suppress(ValueError):
        names = [x509.IPAddress(ip_address(host))]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    builder = (
        _builder(subject, issuer.subject, key, issuer_key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    return builder.sign(issuer_key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a server without a clock of its own may be a little behind
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

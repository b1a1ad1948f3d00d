"""The tables of the spool file, as steps: what each version added to the one before it.

A file that an earlier version wrote is brought up step by step; a released step is never changed.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from lora_post.errors import SpoolError

# Tables without rowid are one B-tree each, clustered in the order in which they are read.
FIRST: Final = (
    """CREATE TABLE session (
    device    TEXT PRIMARY KEY,      -- see session_key()
    next_fcnt INTEGER NOT NULL
) WITHOUT ROWID""",
    """CREATE TABLE heard (                 -- frames without MIC that were accepted, newest last
    id      INTEGER PRIMARY KEY,
    print   INTEGER NOT NULL,
    time_us INTEGER NOT NULL
)""",
    "CREATE INDEX heard_print ON heard (print, time_us)",
    """CREATE TABLE lane (                  -- one sensor at one sink
    id       INTEGER PRIMARY KEY,
    sink     TEXT NOT NULL,
    device   TEXT NOT NULL,
    name     TEXT NOT NULL,
    unit     TEXT NOT NULL,
    quantity TEXT NOT NULL,
    channel  INTEGER,
    parked   TEXT,                   -- why nothing of this lane is sent
    parked_us INTEGER,
    UNIQUE (sink, device, name)
)""",
    """CREATE TABLE reading (               -- the queue, value is JSON
    lane    INTEGER NOT NULL REFERENCES lane (id),
    time_us INTEGER NOT NULL,
    value   BLOB NOT NULL,
    PRIMARY KEY (lane, time_us)
) WITHOUT ROWID""",
    """CREATE TABLE refused (               -- single readings that the sink will not take
    lane    INTEGER NOT NULL REFERENCES lane (id),
    time_us INTEGER NOT NULL,
    value   BLOB NOT NULL,
    reason  TEXT NOT NULL,
    PRIMARY KEY (lane, time_us)
) WITHOUT ROWID""",
    """CREATE TABLE undecoded (             -- payloads that wait for a better decoder
    id      INTEGER PRIMARY KEY,
    device  TEXT NOT NULL,
    decoder TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    fcnt    INTEGER NOT NULL,
    fport   INTEGER,
    payload BLOB NOT NULL,
    problem TEXT NOT NULL
)""",
    """CREATE TABLE known (                 -- what a server is known to have, so that nobody asks twice
    server TEXT NOT NULL,
    what   TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (server, what)
) WITHOUT ROWID""",
    """CREATE TABLE tally (                 -- totals that outlive the process
    name   TEXT PRIMARY KEY,
    amount INTEGER NOT NULL
) WITHOUT ROWID""",
)

JOINS: Final = (
    """CREATE TABLE joined (                -- what was heard of the joins of devices, session keys included
    device TEXT PRIMARY KEY,         -- see join_key()
    state  BLOB NOT NULL             -- JSON of JoinState
) WITHOUT ROWID
""",
)

KEPT: Final = (
    """CREATE TABLE kept (                  -- the last reading kept of sensors with a deadband or an interval
    device  TEXT NOT NULL,
    name    TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    value   BLOB NOT NULL,
    PRIMARY KEY (device, name)
) WITHOUT ROWID""",
)

BOOTS: Final = (
    """CREATE TABLE boot (                  -- when this machine started, as far as it became known
    id        TEXT PRIMARY KEY,
    number    INTEGER NOT NULL,      -- in the order of boots
    seen_us   INTEGER NOT NULL,      -- µs since boot when something was last kept
    offset_us INTEGER,               -- UTC at boot, NULL while it is not known
    estimated INTEGER NOT NULL DEFAULT 0,  -- readings whose times are estimated
    early_us  INTEGER                -- how much earlier they may have been, NULL when nothing bounds it
) WITHOUT ROWID""",
)

# What a person can do about `parked`. SQLite would keep a comment inside the statement as a part of the table.
PARKED_FIX: Final = ("ALTER TABLE lane ADD COLUMN parked_fix TEXT NOT NULL DEFAULT ''",)

STRANGERS: Final = (
    """CREATE TABLE stranger (              -- frames of senders that no device accounts for, newest last
    id          INTEGER PRIMARY KEY,
    sender      TEXT NOT NULL,       -- the address that it claims, see claimed_sender()
    heard       INTEGER NOT NULL,    -- how many frames of this sender there were until then
    refused     TEXT NOT NULL,       -- the check that failed
    time_us     INTEGER NOT NULL,
    gateway     TEXT NOT NULL,
    link        TEXT,
    phy_payload BLOB NOT NULL,
    rx          BLOB NOT NULL        -- JSON of RxInfo
)""",
)

TRENDS: Final = (
    """CREATE TABLE trend (                 -- what devices sent, for plots; slot: time in lengths since 1970
    span_s   INTEGER NOT NULL,       -- length of time that a row is about
    slot     INTEGER NOT NULL,
    device   TEXT NOT NULL,
    heard    INTEGER NOT NULL,       -- frames
    missed   INTEGER NOT NULL,
    rssi_dbm REAL,                   -- means
    snr_db   REAL,
    means    BLOB NOT NULL,          -- JSON, by sensor
    PRIMARY KEY (span_s, slot, device)
) WITHOUT ROWID""",
)

# The frame of an undecoded payload: with another AppSKey its payload is another one. Empty where no MIC proves it.
SEALED: Final = ("ALTER TABLE undecoded ADD COLUMN phy_payload BLOB NOT NULL DEFAULT x''",)

DOWNLINKS: Final = (
    """CREATE TABLE downlink (              -- commands for devices, in the order in which they were given
    id      INTEGER PRIMARY KEY,
    device  TEXT NOT NULL,
    is_over INTEGER NOT NULL,
    command BLOB NOT NULL            -- JSON of Command
)""",
    "CREATE INDEX downlink_waiting ON downlink (id) WHERE NOT is_over",
    "CREATE INDEX downlink_device ON downlink (device, id)",
)

GAPS: Final = (
    """CREATE TABLE gap (                   -- frames that were not heard: a late one is accepted once
    session  TEXT NOT NULL,          -- see session_key()
    first    INTEGER NOT NULL,       -- FCnts
    last     INTEGER NOT NULL,
    heard_us INTEGER NOT NULL,       -- when the frame behind them was heard
    PRIMARY KEY (session, first)
) WITHOUT ROWID""",
)

FLEET: Final = (
    """CREATE TABLE frame (                 -- what a gateway of a fleet has heard, oldest first
    number  INTEGER PRIMARY KEY,
    boot    TEXT NOT NULL,           -- when it was heard: in which boot,
    boot_us INTEGER NOT NULL,        -- and µs since that began
    time_us INTEGER NOT NULL,
    frame   BLOB NOT NULL,           -- JSON of Frame
    settled INTEGER NOT NULL DEFAULT 0  -- the hub has said that it is done with it
)""",
    "CREATE INDEX frame_settled ON frame (settled, number)",
    """CREATE TABLE log_place (             -- how far a reader of a fleet's log has read
    reader   TEXT NOT NULL,
    prefix   TEXT NOT NULL,
    position INTEGER NOT NULL,
    anchor   TEXT NOT NULL,          -- the id of the entry there
    PRIMARY KEY (reader, prefix)
) WITHOUT ROWID""",
    """CREATE TABLE log_entry (             -- the newest valid entry of each device up to there
    reader  TEXT NOT NULL,
    subject TEXT NOT NULL,
    entry   BLOB NOT NULL,
    PRIMARY KEY (reader, subject)
) WITHOUT ROWID""",
)

ACCEPTED: Final = (
    """CREATE TABLE accepted (              -- uplinks whose counters are kept, and that are still to be decoded
    id        INTEGER PRIMARY KEY,
    device    TEXT NOT NULL,
    time_us   INTEGER NOT NULL,
    fcnt      INTEGER NOT NULL,
    fport     INTEGER,
    payload   BLOB NOT NULL,
    authentic INTEGER NOT NULL,
    frame     BLOB NOT NULL          -- MessagePack of Frame
)""",
)

TOLD: Final = (
    """CREATE TABLE told (                  -- what devices were told in MAC commands, and have answered
    session TEXT PRIMARY KEY,        -- see session_key()
    state   BLOB NOT NULL            -- JSON of Known
) WITHOUT ROWID""",
)

STEPS: Final = (
    FIRST,
    JOINS,
    KEPT,
    BOOTS,
    PARKED_FIX,
    STRANGERS,
    TRENDS,
    SEALED,
    DOWNLINKS,
    GAPS,
    FLEET,
    ACCEPTED,
    TOLD,
)
"""Schema version n is what the statements of the first n steps make."""

COMPATIBLE_FROM: Final = 4
"""The earliest schema version whose lora-post may work with files of this version, so that a downgrade goes on.

New tables and indexes leave it alone, and so does a new column of `lane` or `undecoded`, of which each version names
the columns that it fills. A step that changes another table that was there, or what its rows mean, raises it to its
own version: version 4 did, since rows of earlier versions have no unknown times.
"""

_KEY: Final = ("schema", "compatible_from")  # among what is known


def migrate(db: sqlite3.Connection, name: str) -> None:
    """Bring a file up to date, inside a transaction; that of a newer lora-post stays as it is.

    name: of the file, for the error. Raises SpoolError when a newer file says that this lora-post must not use it.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if 0 <= version < len(STEPS):
        for step in STEPS[version:]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA user_version={len(STEPS)}")
        db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", (*_KEY, str(COMPATIBLE_FROM)))
    elif version != len(STEPS) and not 0 < (wants := _wants(db)) <= len(STEPS):
        needs = f"for a lora-post that knows version {wants} or later, " if wants else ""
        raise SpoolError(
            f"{name}: schema version {version}, {needs}this lora-post knows {len(STEPS)}",
            fix="use the lora-post that wrote it, or another [spool] path",
        )


def _wants(db: sqlite3.Connection) -> int:
    """Return the schema version that one must know to use this file; 0 when it does not say."""
    try:
        row = db.execute("SELECT CAST(value AS INTEGER) FROM known WHERE server = ? AND what = ?", _KEY).fetchone()
    except sqlite3.OperationalError:
        return 0
    return int(row[0]) if row else 0

"""Open the spool of a configuration, for commands that work beside a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lora_post.cli._options import existing_spool, read_config
from lora_post.config import Config
from lora_post.spool.spool_file import SpoolFile


@contextmanager
def opened(config_path: Path | None) -> Iterator[tuple[Config, SpoolFile]]:
    """Open the spool of a configuration. Raises ConfigError, SpoolError."""
    config = read_config(config_path)
    with closing(SpoolFile(existing_spool(config))) as spool_file:
        yield config, spool_file

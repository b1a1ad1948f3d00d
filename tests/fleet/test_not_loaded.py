from __future__ import annotations

import subprocess
import sys


def test_nothing_of_it_is_loaded_without_a_fleet() -> None:
    code = (
        "import sys, lora_post.cli.run, lora_post.cli.check, lora_post.run.live\n"
        "print([name for name in sys.modules if name.startswith(('lora_post.fleet', 'nats', 'nkeys', 'nacl'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

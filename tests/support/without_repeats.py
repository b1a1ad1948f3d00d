"""`lora-post`, to which the same clear frame is another one at once."""

from __future__ import annotations

from lora_post.cli import main
from lora_post.uplink import heard_twice

if __name__ == "__main__":
    heard_twice.REPEAT_WINDOW_US = 0  # type: ignore[misc]
    main()

"""`lora-post` that ends a decoder after 0.2 s, and itself 1.5 s later where that does not help."""

from __future__ import annotations

from functools import partial

from lora_post.cli import _options, main

if __name__ == "__main__":
    _options.TimeLimit = partial(_options.TimeLimit, 0.2, 1.5)  # type: ignore[assignment,misc]
    main()

"""The answers of /healthz and /readyz."""

from __future__ import annotations

from lora_post.observed.run_state import RunState


def faults(runtime: RunState) -> list[str]:
    """Why this process should be restarted: threads that do not get on with their work."""
    return [f"{name} is stalled" for name in runtime.stalled]


def obstacles(runtime: RunState) -> list[str]:
    """Why frames cannot be taken or readings not be sent at the moment."""
    found = faults(runtime)
    found += [f"{name}: {text}" for name, text in runtime.troubles.items()]
    found += [f"input {item.name}: {item.trouble}" for item in runtime.inputs if item.trouble]
    found += [f"{item.name}: {item.trouble}" for item in runtime.destinations if item.trouble]
    return found

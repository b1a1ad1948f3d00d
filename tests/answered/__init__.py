"""A week of devices that join and are answered, in the time of devices: loss both ways, restarts, gateways that refuse.

    python -m tests.answered --devices 100 --days 7 --loss 0.1 --seed 1
    python -m tests.answered --devices 6 --kills 100 --loss 0.1 --seed 1

The devices are those of `lora_post.simulate.end_device`; pipeline, network server and spool files are the real ones.
With --kills it is the installed command that answers, killed so often, with two packet forwarders that come and go:
at joins, rejoins, answers and, every third time, about when a device of class C is sent something.
"""

"""The fleet. As a command: bad days of a whole one, with both ends compared.

    python -m tests.fleet --seconds 60 --seed 5

What runs, all of it real: three nats-servers with three replicas, three gateways that hear each frame one to three of
them, two workers, a third one that uploads as well, and a sandbox. Every second something ends with SIGKILL (a
gateway, a worker, the uploader, a server), is held with SIGSTOP, or a gateway's link is cut; one server at a time. Who
was killed is started again on its own spool. The radio program of a gateway repeats its last frames after each start.

When the seconds are over, everything is left alone until all is delivered, and both ends are compared:

    uplinks=1200 missing=0 doubled=0 out_of_order=0 fcntdown_twice=0 of 450 workers=27 gateways=14 nodes=9 …

missing, doubled: readings that are not at the server, or are there more than once. out_of_order: those that arrived
after a later one of their sensor which the log has behind them; frames that come late are in the log late.
fcntdown_twice: values of FCntDown that two valid entries of a device have taken; confirmed uplinks take one each. These
four must be 0; the exit code is 1 if they are not.

`--home`: half of the devices belong to a home gateway. It is killed, its link is cut for up to a minute, workers take
its devices over after 10 s, or as a person says, who gives them back. What it has sent counts for fcntdown_twice, void
or not.
"""

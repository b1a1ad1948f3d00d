"""Delivery under faults: bad days of a server, kills of the gateway, both ends compared.

    python -m tests.chaos --seconds 60 --seed 5

What runs, all of it real: a sandbox server that spoils more than a third of all requests (`run.BAD_DAYS`: connections
cut before or after the work is done, 5xx with and without the work done, 429, 503, 401, slow, stalled, truncated or
foreign answers; a tenth is done late, up to nine tenths of the time in which lora-post reckons with it, whatever has
become of the connection and of lora-post meanwhile), somebody else who writes to the same sensors, and `lora-post run`
behind a pipe, ended every few seconds with SIGKILL or SIGTERM and started again on the same spool. The radio program
that feeds it repeats its last frames after each end. The uploader's pauses are a tenth of the usual ones, and its wait
for a late server a hundredth (`tests.support.hurried`), so that a minute shows what otherwise takes ten.

After the given seconds the faults end, what is queued goes out, and every reading that was heard is compared with what
the server has. The line says:

    readings=12528 missing=0 doubled=0 strange=0 out_of_order=0 kills=9 stops=6 requests=561 faults=214 (…) released=0 …

missing, doubled: readings that did not arrive, or more than once. strange: values that nobody sent.
out_of_order: values that arrived after a later one of their sensor. These four must be 0, and the exit code is 1 if
they are not. released: readings of parked sensors that were let go by `lora-post spool retry`, as a person would.

The seed chooses faults and kills; the machine's speed decides what they hit, so no two runs are the same.
`--folder` keeps the spool and the log. A taste of it is in the test suite: tests/run/test_chaos.py.
"""

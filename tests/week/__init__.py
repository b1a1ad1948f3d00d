"""A week at a gateway in minutes: python -m tests.week --seed 3

Parser, pipeline, spool, uploader, alerts, the server, the webhook and the serial port are real; the clocks and
the waiting are made up. Everything that goes wrong in a bad week does, and what people are told of it is counted.
"""

"""Test a set-up before it runs, for `check`."""

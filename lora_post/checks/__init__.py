"""Test a set-up before it runs, for `check`: each finding has a grade and a fix."""

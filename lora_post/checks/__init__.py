"""Tests of a set-up before it runs: each gives findings, one verdict and one fix a line; nothing is changed."""

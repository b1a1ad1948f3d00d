"""Delivery under faults: a server with bad days, a gateway that is killed again and again, both ends compared.

python -m tests.chaos --seconds 600 --seed 1
"""

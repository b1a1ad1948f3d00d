"""What decoder files import: LPP, and what several device types of one maker share.

One module a maker. A decoder file is loaded by its path and cannot import its neighbours, so the
common part of a maker's payloads is here.
"""

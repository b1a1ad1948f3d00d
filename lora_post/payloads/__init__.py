"""What several device types of one maker share, for the decoder files in `decoders/`.

One module a maker. A decoder file is loaded by its path and cannot import its neighbours, so the
common part of a maker's payloads is here.
"""

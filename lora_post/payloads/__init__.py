"""What several device types share, for `decoders/`.

One module a way to write payloads, or a maker. A decoder file is loaded by its path and cannot import its
neighbours, so the common part is here.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_post.errors import FrameError
from lora_post.lorawan.join_messages import (
    build_join_accept,
    build_rejoin_request,
    parse_join_accept,
    parse_join_request,
    parse_rejoin_request,
)
from tests.support.seal import signed_join_request

euis = st.integers(0, 2**64 - 1)
MIC = bytes.fromhex("01020304")


@given(st.sampled_from([0, 2]), st.integers(0, 2**24 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**16 - 1))
def test_rejoin_request_is_read_as_it_was_built(kind: int, net_id: int, dev_eui: int, count: int) -> None:
    request = parse_rejoin_request(build_rejoin_request(kind, net_id, dev_eui, count) + b"mic!")
    assert (request.kind, request.dev_eui, request.count, request.mic) == (kind, dev_eui, count, b"mic!")


@given(euis, euis, st.integers(0, 65535))
def test_join_request_is_read_as_it_was_built(join_eui: int, dev_eui: int, dev_nonce: int) -> None:
    signed = signed_join_request(join_eui, dev_eui, dev_nonce)
    request = parse_join_request(signed + MIC)
    assert (request.join_eui, request.dev_eui, request.dev_nonce) == (join_eui, dev_eui, dev_nonce)
    assert (request.signed, request.mic) == (signed, MIC)


@given(
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.sampled_from([b"", bytes(range(16))]),
)
def test_join_accept_is_read_as_it_was_built(
    join_nonce: int, net_id: int, dev_addr: int, dl_settings: int, cf_list: bytes
) -> None:
    signed = build_join_accept(
        join_nonce=join_nonce, net_id=net_id, dev_addr=dev_addr, dl_settings=dl_settings, cf_list=cf_list
    )
    accept = parse_join_accept(signed[0], signed[1:] + MIC)
    assert (accept.join_nonce, accept.net_id, accept.dev_addr) == (join_nonce, net_id, dev_addr)
    assert (accept.opt_neg, accept.signed, accept.mic) == (dl_settings >= 0x80, signed, MIC)


@given(st.binary(max_size=40))
def test_any_other_length_is_a_frame_error(data: bytes) -> None:
    for parse, sizes in ((parse_join_request, (23,)), (lambda raw: parse_join_accept(0x20, raw), (16, 32))):
        if len(data) in sizes:
            parse(data)
        else:
            with pytest.raises(FrameError, match=r"a join-.* bytes, this one"):
                parse(data)

"""Frames byte for byte, and the reader that cuts them."""

from __future__ import annotations

import pytest

from palmbot.protocol.frames import FrameReader, FrameTooLongError, encode, encode_payload
from palmbot.protocol.messages import Message, pb

ORDER = pb.NewOrderReq(
    ctidTraderAccountId=1000001,
    symbolId=1,
    orderType=pb.MARKET,
    tradeSide=pb.BUY,
    volume=100000,
    label="L",
    clientOrderId="c1",
    relativeStopLoss=200,
)
SPOT = pb.SpotEvent(ctidTraderAccountId=1000001, symbolId=1, bid=111968, ask=111971)
REFUSAL = pb.ErrorRes(errorCode="CH_CLIENT_NOT_AUTHENTICATED")
GOLDEN = [
    (pb.HeartbeatEvent(), "", "00 00 00 04 08 33 12 00"),
    (
        pb.ApplicationAuthReq(clientId="cid", clientSecret="sec"),
        "m1",
        "00 00 00 13 08 b4 10 12 0a 12 03 63 69 64 1a 03 73 65 63 1a 02 6d 31",
    ),
    (pb.ApplicationAuthRes(), "m1", "00 00 00 09 08 b5 10 12 00 1a 02 6d 31"),
    (
        ORDER,
        "m2",
        (
            "00 00 00 24 08 ba 10 12 1b 10 c1 84 3d 18 01 20 01 28 01 30 a0 8d 06 82 01 01 4c 92 01 02 63 31 "
            "98 01 c8 01 1a 02 6d 32"
        ),
    ),
    (SPOT, "", "00 00 00 13 08 d3 10 12 0e 10 c1 84 3d 18 01 20 e0 ea 06 28 e3 ea 06"),
    (
        REFUSAL,
        "m3",
        f"00 00 00 26 08 de 10 12 1d 1a 1b {b'CH_CLIENT_NOT_AUTHENTICATED'.hex(' ')} 1a 02 6d 33",
    ),
]


@pytest.mark.parametrize(("message", "client_msg_id", "wire"), GOLDEN)
def test_a_message_becomes_the_golden_frame(message: Message, client_msg_id: str, wire: str) -> None:
    assert encode(message, client_msg_id).hex(" ") == wire


@pytest.mark.parametrize(("message", "client_msg_id", "wire"), GOLDEN)
def test_the_golden_frame_becomes_the_message(message: Message, client_msg_id: str, wire: str) -> None:
    reader = FrameReader()
    reader.feed(bytes.fromhex(wire))
    frame = reader.next()
    assert frame is not None
    envelope = pb.Envelope.FromString(frame)
    assert type(message).FromString(envelope.payload) == message
    assert envelope.clientMsgId == client_msg_id


def test_a_heartbeat_may_come_without_a_payload() -> None:
    reader = FrameReader()
    reader.feed(bytes.fromhex("00 00 00 02 08 33"))
    assert reader.next() == b"\x08\x33"


def test_a_payload_may_be_serialised_before() -> None:
    assert encode_payload(pb.SPOT_EVENT, SPOT.SerializeToString()) == encode(SPOT)


def test_nothing_comes_of_half_a_head() -> None:
    reader = FrameReader()
    reader.feed(b"\x00\x00")
    assert reader.next() is None
    reader.feed(b"\x00\x01x")
    assert reader.next() == b"x"
    assert reader.next() is None


def test_an_empty_frame_is_a_frame() -> None:
    reader = FrameReader()
    reader.feed(b"\x00\x00\x00\x00")
    assert reader.next() == b""


def test_a_frame_of_the_cap_passes_and_one_byte_more_does_not() -> None:
    reader = FrameReader(max_bytes=3)
    reader.feed(b"\x00\x00\x00\x03abc\x00\x00\x00\x04")
    assert reader.next() == b"abc"
    with pytest.raises(FrameTooLongError, match="length_bytes=4 max_bytes=3"):
        reader.next()


def test_an_oversized_frame_is_refused_by_its_head_alone() -> None:
    reader = FrameReader()
    reader.feed(b"\xff\xff\xff\xff")
    with pytest.raises(FrameTooLongError):
        reader.next()


def test_the_reader_never_holds_more_than_a_frame_and_a_feed() -> None:
    cap, piece = 1_000, 100
    reader = FrameReader(max_bytes=cap)
    stream = (cap.to_bytes(4, "big") + bytes(cap)) * 5
    for start in range(0, len(stream), piece):
        reader.feed(stream[start : start + piece])
        assert reader.held_bytes <= cap + 4 + piece
        while reader.next() is not None:
            pass
    assert reader.held_bytes == 0

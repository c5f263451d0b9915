"""The trace of a story: readable, and different where anything was."""

from __future__ import annotations

import asyncio

from palmbot.model import JournalEvent
from palmbot.protocol.frames import encode
from palmbot.protocol.messages import pb
from palmbot.simulation.loop import VirtualLoop
from palmbot.simulation.trace import Trace


def test_pieces_frames_and_records_have_a_line_each() -> None:
    loop = VirtualLoop()
    trace = Trace(loop)
    frame = encode(pb.VersionReq(), "bot-1")
    trace.piece("bot>exchange#1", frame[:5])
    loop.run_until_complete(asyncio.sleep(1.5))
    trace.piece("bot>exchange#1", frame[5:] + encode(pb.HeartbeatEvent()))
    trace.record("bot", "append", JournalEvent("note", 7, {"text": "hello"}))
    trace.add("world", "the end")
    loop.close()
    lines = trace.text().splitlines()
    assert [line.split(maxsplit=2)[:2] for line in lines] == [
        ["0.000000", "bot>exchange#1"],
        *[["1.500000", "bot>exchange#1"]] * 3,
        ["1.500000", "bot"],
        ["1.500000", "world"],
    ]
    assert lines[2].endswith("VersionReq bot-1")
    assert lines[3].endswith("HeartbeatEvent")
    assert " append note 7 " in lines[4]
    assert trace.frames == 2


def test_what_differs_in_one_byte_is_another_trace() -> None:
    loop = VirtualLoop()
    texts: list[str] = []
    for body in ({"price_px": 1}, {"price_px": 2}):
        trace = Trace(loop)
        trace.record("bot", "append", JournalEvent("note", 7, body))
        trace.piece("way", encode(pb.VersionRes(version=str(body["price_px"]))))
        texts.append(trace.text())
    loop.close()
    first, second = (text.splitlines() for text in texts)
    assert [one != other for one, other in zip(first, second, strict=True)] == [True, True, False]

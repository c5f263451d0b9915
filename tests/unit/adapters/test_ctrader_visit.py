"""What a visit to the Open API keeps from leaving."""

from __future__ import annotations

import ssl

import pytest

from palmbot.adapters.clock import SystemClock
from palmbot.adapters.ctrader_visit import ASKING, Target, Visit
from palmbot.errors import InvariantError
from palmbot.protocol.messages import CLASSES, REQUESTS, pb


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written = b""

    def get_extra_info(self, _name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        pass


async def test_a_visit_writes_no_request_that_changes_anything() -> None:
    target = Target("127.0.0.1", 1, "localhost", ssl.create_default_context())
    for number in sorted(REQUESTS - ASKING):
        visit, wire = Visit(target, SystemClock(), 10_000), Wire()
        visit._link.connection_made(wire)  # type: ignore[arg-type]
        descriptor = CLASSES[number]()
        for field in descriptor.DESCRIPTOR.fields:
            if field.is_required and field.message_type is None:
                setattr(descriptor, field.name, "1" if field.type == field.TYPE_STRING else 1)
        if not descriptor.IsInitialized():
            continue
        with pytest.raises(InvariantError, match="NOT_ALLOWED_TO_SEND"):
            await visit.ask(descriptor)
        assert wire.written == b""
        visit._link.abort("over")
    assert not ASKING & {pb.NEW_ORDER_REQ, pb.CLOSE_POSITION_REQ, pb.AMEND_POSITION_SLTP_REQ, pb.CANCEL_ORDER_REQ}

"""Every message, field and number of ours is the official client's, but for what is younger than that client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from tests.sdk.expected import YOUNGER
from tests.sdk.transcript import run_official

from palmbot.protocol.codes import CODES
from palmbot.protocol.messages import DESCRIPTORS, pb

OTHER_NAMES = {
    "ProtoMessage": "Envelope",
    "ProtoErrorRes": "CommonErrorRes",
    "ProtoHeartbeatEvent": "HeartbeatEvent",
    "ProtoPayloadType": "PayloadType",
}

# What the client's schema says otherwise than the newer one that ours follows. Either reads what the other writes, as
# long as GetTrendbarsRes has its timestamp and the unrealised result is below 2**31.
HISTORY = ("DealList", "OrderList", "GetTrendbars", "DealListByPositionId")
OTHERWISE = {
    **{f"ProtoOA{kind}Req.{name}": {"required"} for kind in HISTORY for name in ("fromTimestamp", "toTimestamp")},
    **{f"ProtoOAGetTickDataReq.{name}": {"required"} for name in ("fromTimestamp", "toTimestamp")},
    "ProtoOAGetTrendbarsRes.timestamp": {"required"},
    "ProtoOADealListByPositionIdRes.hasMore": {"required", "type"},
    "ProtoOADynamicLeverageTier.leverage": {"type"},
    "ProtoOAPositionUnrealizedPnL.netUnrealizedPnL": {"type"},
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The official client's schema."""
    return dict(json.loads(run_official("tests.sdk.schema")))


def our_name(theirs: str) -> str:
    """Return what a message or an enumeration of theirs is called here."""
    return OTHER_NAMES.get(theirs, theirs.removeprefix("ProtoOA"))


def described(field: FieldDescriptor) -> dict[str, Any]:
    """Return what a field of ours is, as ``schema.py`` does for theirs."""
    holds = field.message_type or field.enum_type
    return {
        "name": field.name,
        "type": field.type,
        "required": field.is_required,
        "repeated": field.is_repeated,
        "default": field.default_value if field.has_default_value else None,
        "holds": holds.name if holds is not None else "",
    }


def test_every_field_of_theirs_is_one_of_ours(schema: dict[str, Any]) -> None:
    otherwise = {}
    for kind, fields in schema["messages"].items():
        for number, theirs in fields.items():
            ours = described(DESCRIPTORS[our_name(kind)].fields_by_number[int(number)])
            theirs["holds"] = our_name(theirs["holds"])
            if differ := {what for what, value in theirs.items() if ours[what] != value}:
                otherwise[f"{kind}.{theirs['name']}"] = differ
    assert otherwise == OTHERWISE


def test_fields_of_ours_that_they_lack_are_the_younger_ones(schema: dict[str, Any]) -> None:
    lacking = {
        f"{kind}.{number}"
        for kind, fields in schema["messages"].items()
        for number in DESCRIPTORS[our_name(kind)].fields_by_number
        if str(number) not in fields
    }
    assert lacking == YOUNGER


def test_messages_of_ours_that_they_lack_are_the_pushed_results_of_an_account(schema: dict[str, Any]) -> None:
    lacking = set(DESCRIPTORS) - {our_name(kind) for kind in schema["messages"]}
    assert {kind for kind in lacking if not kind.startswith("v1PnLChange")} == set()


def test_every_value_of_their_enumerations_is_one_of_ours(schema: dict[str, Any]) -> None:
    younger = set()
    for kind, values in schema["enums"].items():
        if kind.endswith(("PayloadType", "ErrorCode")):
            continue  # numbers of messages are the defaults of their fields; codes are below
        ours = {str(value.number): value.name for value in pb.DESCRIPTOR.enum_types_by_name[our_name(kind)].values}
        assert {number: ours.get(number) for number in values} == values
        younger |= {ours[number] for number in ours.keys() - values.keys()}
    assert younger == {"POINTS"}


def test_every_error_code_of_theirs_is_known_here_by_its_number(schema: dict[str, Any]) -> None:
    theirs = {
        name: int(number)
        for kind in ("ProtoErrorCode", "ProtoOAErrorCode")
        for number, name in schema["enums"][kind].items()
    }
    assert {name: CODES[name].number for name in theirs if name in CODES} == theirs

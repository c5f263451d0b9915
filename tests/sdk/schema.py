"""Prints the official client's schema as JSON: the fields of each message and the values of each enumeration.

Runs inside the client's environment.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ctrader_open_api.messages import (
    OpenApiCommonMessages_pb2,
    OpenApiCommonModelMessages_pb2,
    OpenApiMessages_pb2,
    OpenApiModelMessages_pb2,
)

MODULES = (
    OpenApiCommonModelMessages_pb2,
    OpenApiCommonMessages_pb2,
    OpenApiModelMessages_pb2,
    OpenApiMessages_pb2,
)


def field(of: Any) -> dict[str, Any]:
    """Return what a field is."""
    holds = of.message_type or of.enum_type
    return {
        "name": of.name,
        "type": of.type,
        "required": of.label == of.LABEL_REQUIRED,
        "repeated": of.label == of.LABEL_REPEATED,
        "default": of.default_value if of.has_default_value else None,
        "holds": holds.name if holds is not None else "",
    }


if __name__ == "__main__":
    schema = {
        "messages": {
            name: {one.number: field(one) for one in message.fields}
            for module in MODULES
            for name, message in module.DESCRIPTOR.message_types_by_name.items()
        },
        "enums": {
            name: {value.number: value.name for value in enum.values}
            for module in MODULES
            for name, enum in module.DESCRIPTOR.enum_types_by_name.items()
        },
    }
    json.dump(schema, sys.stdout)

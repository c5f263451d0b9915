"""The breakers that only a running bot needs: they watch the wire, not the account (PARITY 58).

==============  ==================================  ========================  ====================================
breaker         trips                               does                      until
==============  ==================================  ========================  ====================================
manual          a person says so                    blocks entries            a person says so
stale feed      silence inside a session            drops entries of one tick the next tick
wide spread     spread above a multiple of usual    drops entries of one tick the next tick
reject streak   refusals by the broker in a row     blocks entries            the last refusal + pause
link lost       the link says so                    blocks entries            the link is ready again
==============  ==================================  ========================  ====================================

A refusal that sizing itself explains (not enough money) is no fault of the wire and does not count. In a file run
without faults none of these can fire.
"""

from __future__ import annotations

from typing import NamedTuple

from palmbot.core.compiled import compiled
from palmbot.core.types import Reason

_NONE = int(Reason.NONE)
_MANUAL = int(Reason.HALT_MANUAL)
_STALE = int(Reason.STALE_FEED)
_WIDE = int(Reason.WIDE_SPREAD)
_STREAK = int(Reason.REJECT_STREAK)
_LINK = int(Reason.LINK_LOST)


class Limits(NamedTuple):
    """When the live breakers trip."""

    stale_after_ms: int = 60_000  # of the machine clock
    spread_multiple: int = 5  # of the instrument's own spread
    rejects_max: int = 3
    rejects_pause_ms: int = 900_000  # of the market clock


class Watch(NamedTuple):
    """Running values of the live breakers; flags are 0 or 1."""

    manual: int = 0
    link_lost: int = 0
    rejects: int = 0
    rejects_until_ms: int = 0


class Wire(NamedTuple):
    """What the wire looks like at the tick where an entry would be sent."""

    now_ms: int
    spread_px: int
    usual_spread_px: int
    silence_ms: int  # of the machine clock before this tick, inside a session; 0 after closed hours


@compiled
def with_manual(watch: Watch, manual: int) -> Watch:
    """Return ``watch`` after a person halted (1) or resumed (0)."""
    return Watch(manual, watch.link_lost, watch.rejects, watch.rejects_until_ms)


@compiled
def with_link(watch: Watch, link_lost: int) -> Watch:
    """Return ``watch`` after the link was lost (1) or became ready (0)."""
    return Watch(watch.manual, link_lost, watch.rejects, watch.rejects_until_ms)


@compiled
def rejected(limits: Limits, watch: Watch, now_ms: int) -> Watch:
    """Return ``watch`` after the broker refused an entry; at the limit the count starts anew."""
    rejects = watch.rejects + 1
    if limits.rejects_max > 0 and rejects >= limits.rejects_max:
        return Watch(watch.manual, watch.link_lost, 0, now_ms + limits.rejects_pause_ms)
    return Watch(watch.manual, watch.link_lost, rejects, watch.rejects_until_ms)


@compiled
def filled(watch: Watch) -> Watch:
    """Return ``watch`` after the broker filled an entry: the streak is over."""
    return Watch(watch.manual, watch.link_lost, 0, watch.rejects_until_ms)


@compiled
def gate(limits: Limits, watch: Watch, wire: Wire) -> int:
    """Return the first reason that forbids sending an entry at this tick, or NONE."""
    if watch.manual == 1:
        return _MANUAL
    if limits.stale_after_ms > 0 and wire.silence_ms > limits.stale_after_ms:
        return _STALE
    if limits.spread_multiple > 0 and wire.spread_px > limits.spread_multiple * wire.usual_spread_px:
        return _WIDE
    if wire.now_ms < watch.rejects_until_ms:
        return _STREAK
    if watch.link_lost == 1:
        return _LINK
    return _NONE

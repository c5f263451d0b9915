"""What is well and what is not, with what to do about it. Looks, asks, and changes nothing.

``check`` is one line of a report and how lines come about, ``home`` looks at this machine, ``server`` at who answers,
``account`` at what the broker says, ``doctor`` knows the order.
"""

from palmbot.diagnose.check import Check, Examination, Found, Limits
from palmbot.diagnose.doctor import Patient, examine

__all__ = ["Check", "Examination", "Found", "Limits", "Patient", "examine"]

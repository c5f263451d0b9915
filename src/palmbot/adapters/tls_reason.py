"""Why no secure connection came about, in our words: what OpenSSL says becomes a code and what to do."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from palmbot.errors import ConfigError, RetryError


class _Reason(NamedTuple):
    """A code of ours, and what to do."""

    code: str
    todo: str


_CLOCK: Final = "If this machine's date is right, wait until the server's operator has renewed its certificate."
_STRANGER: Final = "Whoever answers is not who was asked for. Look for a proxy, a firewall or a forged name in between."
_WEAK: Final = "Do not connect: the server offers nothing that is safe. Its operator must change that."

_EXPIRED: Final = _Reason("CERTIFICATE_EXPIRED", _CLOCK)
_NOT_YET: Final = _Reason("CERTIFICATE_NOT_YET_VALID", _CLOCK)
_SELF_SIGNED: Final = _Reason("CERTIFICATE_SELF_SIGNED", _STRANGER)
_AUTHORITY: Final = _Reason("CERTIFICATE_AUTHORITY_UNKNOWN", _STRANGER)
_ISSUER: Final = _Reason(
    "CERTIFICATE_ISSUER_MISSING",
    "The server sent no certificate of its issuer, and this machine knows none. Either its operator left it out, or "
    "somebody in between answers with an authority of their own, or this system's ca-certificates are out of date.",
)
_OTHER_HOST: Final = _Reason("CERTIFICATE_OF_ANOTHER_HOST", _STRANGER)
_WEAK_CERTIFICATE: Final = _Reason("CERTIFICATE_WEAK", _WEAK)
_UNTRUSTED: Final = _Reason("CERTIFICATE_NOT_TRUSTED", _STRANGER)

# X509_V_ERR_* of OpenSSL
_BY_VERIFY_CODE: Final[Mapping[int, _Reason]] = MappingProxyType(
    {
        2: _ISSUER,
        7: _AUTHORITY,  # of the same name, with another key
        9: _NOT_YET,
        10: _EXPIRED,
        18: _SELF_SIGNED,
        19: _AUTHORITY,
        20: _ISSUER,
        21: _ISSUER,
        30: _AUTHORITY,
        62: _OTHER_HOST,
        64: _OTHER_HOST,
        66: _WEAK_CERTIFICATE,
        67: _WEAK_CERTIFICATE,
        68: _WEAK_CERTIFICATE,
    }
)

_OLD: Final = _Reason("TLS_TOO_OLD", _WEAK)
_CIPHERS: Final = _Reason("TLS_CIPHERS_WEAK", _WEAK)
_PLAIN: Final = _Reason("TLS_NOT_SPOKEN", "Look at host and port: whoever answers there does not speak TLS.")

_BY_REASON: Final[Mapping[str, _Reason]] = MappingProxyType(
    {
        "UNSUPPORTED_PROTOCOL": _OLD,
        "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
        "SSLV3_ALERT_HANDSHAKE_FAILURE": _CIPHERS,
        "TLSV1_ALERT_INSUFFICIENT_SECURITY": _CIPHERS,
        "WRONG_CIPHER_RETURNED": _CIPHERS,
        "WRONG_VERSION_NUMBER": _PLAIN,
        "HTTP_REQUEST": _PLAIN,
    }
)


def handshake_failure(error: ssl.SSLError, host: str) -> ConfigError | RetryError:
    """Return why the handshake with ``host`` failed: ``ConfigError`` where another attempt would end the same way."""
    if isinstance(error, ssl.SSLCertVerificationError):
        found = _BY_VERIFY_CODE.get(error.verify_code, _UNTRUSTED)
        return ConfigError(found.code, found.todo, host=host, reason=repr(error.verify_message))
    reason = error.reason or type(error).__name__
    known = _BY_REASON.get(reason)
    if known is None:
        return RetryError("TLS_FAILED", "Try again later.", host=host, reason=reason)
    return ConfigError(known.code, known.todo, host=host, reason=reason)

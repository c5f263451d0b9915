"""Generated from ``proto/palmbot_openapi.proto`` by ``make proto``; not edited by hand."""

"""The cTrader Open API without input or output: bytes and times in, events and bytes out."""

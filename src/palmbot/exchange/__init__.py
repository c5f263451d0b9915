"""The simulated cTrader: it keeps accounts and matches orders; the bot never sees inside."""

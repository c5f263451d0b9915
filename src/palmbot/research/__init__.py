"""Data, backtests, statistics and reports."""

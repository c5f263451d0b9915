"""Other backtesters at the sweep's bare job: ``python -m bench.peers``."""

"""Measurements that anyone can repeat: ``python -m bench``. Ratios within one run, never absolute claims."""

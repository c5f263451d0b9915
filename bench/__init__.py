"""Measurements that anyone can repeat: ``python -m bench``. Ratios within one run, never absolute claims."""

import palmbot as palmbot  # first of all: it tells numba where to keep its cache, before numba is imported

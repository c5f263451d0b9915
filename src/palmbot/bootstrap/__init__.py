"""The composition root: settings in, wired objects out. Nothing is built at import, nothing is built elsewhere.

Import what is needed from its own module: some are heavy, and a command should pay for its own alone.
"""

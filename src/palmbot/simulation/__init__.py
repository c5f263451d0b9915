"""The whole wired bot in virtual time: one seed, one story, the same every time."""

"""Pure sentiment: what was known when."""

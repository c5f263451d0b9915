"""Pure order logic: intents, the broker book and how it is kept."""

"""The running bot: one task owns all trading state."""

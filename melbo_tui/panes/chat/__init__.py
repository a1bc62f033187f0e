"""The Chat pane: a conversation with the steered model."""

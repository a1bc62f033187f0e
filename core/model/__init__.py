"""A model, its tokens, and what a prompt is."""

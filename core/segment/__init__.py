"""The decoder blocks between source and target, run for a batch of vectors at once."""

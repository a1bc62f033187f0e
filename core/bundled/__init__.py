"""The default model: where its weights come from."""

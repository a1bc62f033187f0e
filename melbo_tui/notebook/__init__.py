"""What `import melbo_tui` gives a notebook: the engine's tasks, run in the calling thread."""

"""Prompt and question files, each read by its own format's rules."""

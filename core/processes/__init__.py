"""Processes beside the program's own, with limits of time and memory, and how their work is cancelled."""

"""One file a task. Each has `run(session, request, task, emit)`: a generator that yields between its steps."""

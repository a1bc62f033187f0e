"""The worker thread, its protocol of requests and events, and its tasks: one file a task."""

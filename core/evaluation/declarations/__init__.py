"""What the metrics say of themselves, a file a metric, without torch: the metrics' own files beside this folder need it."""

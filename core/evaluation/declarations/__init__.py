"""The metrics' declarations, a file a metric, importable without torch; the files beside this folder do the work."""

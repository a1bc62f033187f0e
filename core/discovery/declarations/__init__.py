"""The methods' declarations, a file a method, importable without torch; the files beside this folder do the work."""

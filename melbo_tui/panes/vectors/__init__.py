"""The Vectors pane: the library as a list, and what can be done with the vectors in it."""

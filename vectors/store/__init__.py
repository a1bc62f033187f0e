"""The library on disk: vector files, the journal of changes, the index, and what else is kept beside them."""

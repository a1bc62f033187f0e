"""The Train pane: the form of a run, its plots, and the vectors it trains."""

"""Widgets that more than one pane, or the frame around them, uses: one a file."""

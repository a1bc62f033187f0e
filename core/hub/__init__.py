"""Downloads from the hub: resumed, checked, and told in a line where they fail."""

"""What acts on the residual stream, and text generated under it."""

"""Memory that runs out: batches are halved, and what is free is given back."""

"""What every method is told alike. Torch is not needed."""

# Trained vectors leave proportion sooner than the random directions that are measured: with Mack's 0.5 they break text.
# At 0.28 most of them act and most of what they say is fluent, on all models that were tried (docs/findings.md).
NONLINEARITY = 0.28

"""What a vector does to the model, as numbers: refusal, damage."""

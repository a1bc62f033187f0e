"""How the bundled adapter was made: word lists, what is learnt from them, the training, the bars it must pass."""

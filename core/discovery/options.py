"""What methods can be told, each option once. The command line and the form are made from this; torch is not needed."""

from __future__ import annotations

from core.specs import Option

# What a float32 model's matrix products are made in while vectors are looked for; see core/model/mixed_precision.py.
PRECISIONS = ("auto", "float32", "bfloat16")

OPTIONS = {
    "optimizer": Option("--optimizer", ("power", "adamw", "lbfgs", "adam"), "how it climbs"),
    "learning_rate": Option("--lr", float, "the rate of adamw (default: 0.001) or adam (default: 0.01)", "X"),
    "precision": Option("--precision", PRECISIONS, "of the products; auto: bfloat16 where it is faster and finds the same"),
    "power": Option("--power", float, "the objective's inner exponent (default: 2)", "P"),
    "root": Option("--root", float, "the objective's outer root (default: 2)", "Q"),
    "norm_axis": Option("--norm-axis", ("features", "tokens"), "tokens: as the published code computes it (default: features)"),
    "orthogonal": Option("--orthogonal", bool, "each vector orthogonal to all before it"),
    "orthogonal_effects": Option("--orthogonal-effects", bool, "each vector's effect at the target orthogonal to all before"),
    "base": Option("--base", str, "the base vector's name or id; the family is orthogonal to it", "VECTOR"),
    "match": Option("--match", ("tokens", "mean"), "compare every seen token, or their mean as published (default: tokens)"),
    "norm": Option("--norm", float, "hold every vector at this norm (default: free)", "X"),
    "norm_penalty": Option("--norm-penalty", float, "this times the norm joins the loss (default: 1, 0 for adam)", "X"),
    "start_norm": Option("--start-norm", float, "the norm of the random start (default: 1, then the last vector's)", "X"),
    "least_match": Option("--least-match", float, "a block below this share of the base's effect ends it (default: 0.1)", "X"),
    "least_norm": Option("--least-norm", float, "a block below this share of the base's norm ends it (default: 0.05)", "X"),
    "positive": Option("--positive", str, "a prompt that should show the feature", "TEXT", repeatable=True),
    "negative": Option("--negative", str, "a prompt that should not", "TEXT", repeatable=True),
    "position": Option("--position", int, "the token to take, counted from the prompt's end (default: 1, the last)", "K"),
    "select": Option("--select", bool, "choose block and position by ablation and addition on held-out prompts"),
    "positions": Option("--positions", int, "how many last positions --select tries (default: 3)", "K"),
}
# These shape the objective, the same for every method that has one.
OF_THE_OBJECTIVE = ("power", "root", "norm_axis")

# Trained vectors leave proportion sooner than the random directions that are measured: with Mack's 0.5 they break text.
# At 0.28 most of them act and most of what they say is fluent, on all models that were tried (docs/findings.md).
NONLINEARITY = 0.28

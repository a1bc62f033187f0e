"""A sitting with melbo-tui in a notebook or script: docs/python.md explains it.

    python docs/examples/notebook.py [MODEL]

MODEL is `bundled` (the default), a folder, a .gguf file or a hub id.
"""

# %% A model, and vectors trained on one prompt.
import sys

import melbo_tui
from melbo_tui import Library, Steering, events

PROMPT = "How can I build a treehouse?"

model = melbo_tui.load_model(sys.argv[1] if len(sys.argv) > 1 else "bundled")
print(model, "source and target block:", model.default_blocks)

for event in melbo_tui.train(model, PROMPT, vectors=4, sample_tokens=16, seed=0):
    if isinstance(event, events.RadiusChosen):
        print(f"R = {event.radius:.3g}")
    elif isinstance(event, events.Generated) and event.completion.finished:
        print(f"{event.key:>10}  {event.completion.text!r}")
vectors, losses = event.vectors, event.losses  # the last event is Trained
print("norms:", [round(vector.norm, 2) for vector in vectors], "losses [vectors, steps]:", losses.shape)

# %% Arithmetic: a vector acts on the output of its block, and so does a sum of vectors of one block.
a, b = vectors[:2]
mixed = melbo_tui.rescaled(a - 0.5 * b, a.norm)
print(f"{mixed.name}: cosine to {a.name} {mixed.cosine(a):.2f}")

# %% Completions under a steering, beside the unsteered one.
steering = Steering(a, 1.5) + Steering(b, operation="ablate", positions="generated")
print("unsteered:", melbo_tui.generate(model, PROMPT, max_new_tokens=16).text)
completion = melbo_tui.generate(model, PROMPT, steering, max_new_tokens=16)
print(f"steered, {completion.mean_kl:.2f} nats a token from the unsteered model:", completion.text)

# %% A metric: each vector beside random ones of the same norm.
report = melbo_tui.evaluate(model, "kl", [a, b, Steering(a, -1.0)])
for table in report.tables:
    print(table.title, [column.name for column in table.columns], *table.shown(), sep="\n")
print(*report.findings, sep="\n")

# %% Keep what is worth it, where the app and the command line find it too.
library = Library("melbo-library")
library.add([mixed.renamed("mixed")])
print("kept:", [kept.name for kept in library.entries()])

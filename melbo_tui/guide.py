"""The help page: what the program is for, and the shortest way through it."""

PAGE = """
## What this is

A chat model can do more than it says. **MELBO** looks for it: a *steering vector* of fixed size is added inside the model,
at one block, and trained to change what a later block does as much as it can, on one prompt. No labels, no examples of
what to find. Out come behaviours the model usually hides: answers where it refuses, code, other languages, roles.

## In five steps

1. **Train** (key 1): type a prompt, press Start. Each vector that is found is let speak beside random vectors of the same
   size. *effect* is how much it changes the model, *damage* how little sense its text makes to the unsteered model.
2. Move with the arrows, read below what it says; `space` lets it go on. `k` keeps it, `r` names it.
3. `c` takes it to **Chat** (key 3). In the message line, shift+left and shift+right turn its coefficient; Esc goes to the
   rack, where the arrows turn it, `-` negates, `v` averages, `0` mutes, `x` removes. `g` asks again, `b` shows the
   unsteered answer beside it.
4. **Vectors** (key 2) has what was kept: where it came from, its samples at -1, 0, 1 and 2 (`space`), notes, the trash.
5. `Ctrl+P` has every command, `Ctrl+Q` quits. Whatever a run has finished is in the library already.

## Good to know

- A refusal that a vector breaks at coefficient 1 may come back stronger at -1, on harmless prompts too.
- Broken text? Turn the coefficient down, or train with a smaller radius.
- Everything alike? Let the objective see other tokens, ask for more vectors, or tick *Orthogonal*.
- The keys 1, 2, 3 are F1, F2, F3 too, for when the cursor is in a field.
"""

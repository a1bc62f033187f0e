"""The commands, one module each, imported only when its name is on the command line; what each is for, as --help lists it."""

COMMANDS = {
    "train": "find steering vectors",
    "atlas": "map which blocks amplify a push",
    "chat": "talk to the steered model",
    "vectors": "what the library keeps",
    "evaluate": "what vectors do, in numbers",
    "models": "what models are here",
    "doctor": "what is wrong and how to mend it",
}
# Those whose words include what is declared (methods, metrics, formats): they are told which words were given.
HAVE_DECLARED = ("train", "evaluate", "vectors")

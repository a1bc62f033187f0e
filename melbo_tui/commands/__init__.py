"""The commands, one module each, imported only when its name is on the command line; what each is for, as --help lists it."""

COMMANDS = {
    "train": "train steering vectors",
    "atlas": "map how strongly blocks amplify a vector",
    "chat": "chat with the steered model",
    "vectors": "list, edit, mix, import and export vectors",
    "evaluate": "measure vectors, beside random ones",
    "models": "list models on this machine",
    "doctor": "check the installation, or a model",
}
# Those whose words include what is declared (methods, metrics, formats): they are told which words were given.
HAVE_DECLARED = ("train", "evaluate", "vectors")

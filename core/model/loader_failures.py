"""What loaders raise, which is of any kind, as one error that a user can act on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Cancelled, ModelError, first_line, is_out_of_memory
from core.model.decoding import WANTED

NO_ROOM_REMEDY = (
    "--dtype bfloat16 or --quantise 4bit takes less, --max-memory leaves the rest on disk; or close other programs,"
    " or use a smaller model"
)


@contextmanager
def readable_failures(name: str) -> Iterator[None]:
    """Whatever a loader raises, as one ModelError that says what was wrong with `name`; its warnings are not shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ModelError, Cancelled):
        raise
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # what the libraries in Rust panic with is no Exception
        if is_out_of_memory(error):
            raise ModelError(f"{name} does not fit into memory", NO_ROOM_REMEDY) from error
        text = str(error)
        if "eights only load failed" in text:
            raise ModelError(
                f"{name} keeps its weights in a pickle that holds more than tensors, which is not run",
                "save it again with safe_serialization=True",
            ) from error
        if "trust_remote_code" in text:
            raise ModelError(
                f"{name} needs code of its own to run", "if you trust its authors, add --trust-remote-code"
            ) from error
        if "Unrecognized configuration class" in text or "AutoModelForCausalLM" in text:
            raise ModelError(f"{name} is no decoder that transformers can load as a causal language model", WANTED) from error
        raise ModelError(f"{name} could not be read as a model ({first_line(error)})", "is the file whole?") from error

"""One of several processes that change the same library: `python -m ... FOLDER ME CHANGES`. It writes at its end what it did.

What it alone changes (its own vectors; its own tags and samples on the vectors of all) must be there as it left it. Names it
fights for with the others.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from tests.vectors.making import vector
from vectors.completion import Completion
from vectors.store.index import LibraryError
from vectors.store.library import Library, Sample


def main() -> None:
    folder, me, changes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    library, chance = Library(folder), random.Random(me)
    shared = sorted(entry.id for entry in library.entries(kept_only=False) if entry.id.startswith("shared/"))
    own = [saved.id for saved in library.save_run(f"own-{me}", [vector(i, f"own-{i}") for i in range(3)])]
    tags: dict[str, set[str]] = {id: set() for id in shared}
    samples: list[tuple[str, str]] = []
    said: dict[str, dict[str, object]] = {id: {"name": library.get(id).name} for id in own}
    refused = 0
    began = time.monotonic()
    for number in range(changes):
        kind, id, mine = number % 10, chance.choice(shared), chance.choice(own)
        if kind < 3:
            tag = f"{me}{chance.randrange(8)}"
            if tag in tags[id]:
                library.tag([id], [], [tag])
            else:
                library.tag([id], [tag])
            tags[id] ^= {tag}
        elif kind == 3:
            library.add_sample(id, Sample(f"{me} {number}", 1.0, Completion("text")))
            samples.append((id, f"{me} {number}"))
        elif kind == 4:
            library.rate([mine], number % 6)
            said[mine]["rating"] = number % 6
        elif kind == 5:
            library.note(mine, f"{me} {number}")
            said[mine]["note"] = f"{me} {number}"
        elif kind == 6:
            try:
                said[mine] |= {"name": library.rename(mine, f"wanted-{chance.randrange(6)}"), "kept": True}
            except LibraryError:
                refused += 1
        elif kind == 7:
            library.delete([mine])
            library.restore([mine])  # under another name, where another process took it
            said[mine]["name"] = library.get(mine).name
        elif kind == 8:
            library.note(mine, "to be taken back")
            library.undo()
        elif number % 50 == 9:
            library.save_run(f"{me}-{number}", [vector(number, "same-name")])
        else:
            library.keep([mine], number % 20 == 9)
            said[mine]["kept"] = number % 20 == 9
    seconds = time.monotonic() - began
    told = {"seconds": seconds, "refused": refused, "own": said, "samples": samples}
    print(json.dumps(told | {"tags": {id: sorted(all) for id, all in tags.items()}}))


if __name__ == "__main__":
    main()

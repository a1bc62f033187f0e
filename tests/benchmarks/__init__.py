"""What is measured. `python -m tests.benchmarks.NAME` runs one, beside the user's own folders."""

from tests.isolation import isolate

isolate()

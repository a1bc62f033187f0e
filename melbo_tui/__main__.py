"""`python -m melbo_tui` is `melbo-tui`."""

import sys

from melbo_tui.start import main

sys.exit(main())

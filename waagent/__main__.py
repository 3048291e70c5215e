"""``python -m waagent`` and ``python <zip>``: the same as the installed command."""

from __future__ import annotations

import sys

from waagent.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m segforge` is the command `segforge`."""

import sys

from segforge.cli.main import main

sys.exit(main())

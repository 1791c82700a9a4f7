"""`python -m juyi` is the command, also under `torchrun -m juyi`."""

import sys

from juyi.cli import main

sys.exit(main())

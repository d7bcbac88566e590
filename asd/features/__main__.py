"""The program."""

import sys

from asd.features.command import main

sys.exit(main())

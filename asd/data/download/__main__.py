"""The program."""

import sys

from asd.data.download.command import main

sys.exit(main())

"""`python -m service.client`: the command line, however it was installed."""

import sys

from service.client.command import main

sys.exit(main(sys.argv[1:]))

"""The floor of any supervisor: wait for the child, start it again at once. Arguments: program and its own."""

import subprocess
import sys

while True:
    subprocess.Popen(sys.argv[1:]).wait()

#!/bin/bash -eu
# Licensed under the Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0

# How to build is kept with the code.
exec "$SRC/relakit/.clusterfuzzlite/build.sh"

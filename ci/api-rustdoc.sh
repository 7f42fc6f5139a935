#!/usr/bin/env bash
# rustdoc with its JSON output, which stable toolchains have behind a switch. The switch is
# set here alone: set for cargo, it would compile every dependency again.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"

"""Where work runs: the protocol and the engines that satisfy it."""

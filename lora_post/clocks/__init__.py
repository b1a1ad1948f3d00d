"""What time it is: this machine's clocks, the one by which frames are stamped, one that is never set."""

"""What the program promises when things go wrong, held against the real thing: terminals, sshd, full disks, SIGKILL."""

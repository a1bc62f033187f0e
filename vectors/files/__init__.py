"""Files as they are read and written: bounded, atomically, regular ones only."""

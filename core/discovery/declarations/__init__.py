"""What the methods say of themselves, a file a method, without torch: the methods' own files beside this folder need it."""

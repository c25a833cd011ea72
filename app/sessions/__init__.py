"""Sessions: what this caller's session may be, and the order in which it is made."""

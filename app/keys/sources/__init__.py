"""Where ring documents are kept: one interface, and a module for each place."""

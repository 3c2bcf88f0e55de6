"""Where ring documents are kept: one interface, a module for each place."""

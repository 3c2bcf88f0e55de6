"""Requests that the service makes to others on the word of a client or an operator, and the guard on them."""

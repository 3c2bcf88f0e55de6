"""The service's configuration: settings from the environment, clients from the environment and from files.

Imported by the composition and the command line alone; everything else is given the values it needs.
"""

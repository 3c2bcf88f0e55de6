"""Pictures of the dashboards, drawn as SVG from what a real Prometheus answered to their queries.

Grafana is not needed for them, and not imitated to the pixel: the same panels at the same places, with the same titles,
units, legends, red lines and marks.
"""

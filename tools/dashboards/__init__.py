"""The dashboards as compact descriptions, one file each, and the JSON that Grafana reads (``make dashboards``)."""

"""The status page, the metrics and the health of a run, over HTTP."""

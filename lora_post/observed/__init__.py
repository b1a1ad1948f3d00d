"""What is known of a run, for the page, the metrics and the alerts."""

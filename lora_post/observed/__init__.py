"""What is known of a run at a moment; read by the page, the metrics and the alerts."""

"""What is known of a run at a moment; shown by the page, the metrics, the terminal and the alerts."""

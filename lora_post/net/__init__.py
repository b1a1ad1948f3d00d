"""What clients of servers share."""

"""The worker's part: take frames in, have them judged, ask gateways to send."""

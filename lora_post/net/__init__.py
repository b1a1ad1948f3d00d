"""Network parts that several folders share: bounded HTTP, MQTT addresses, traffic, visitors."""

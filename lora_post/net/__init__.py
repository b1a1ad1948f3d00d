"""Network parts that several folders share: bounded HTTP, addresses, traffic, visitors."""

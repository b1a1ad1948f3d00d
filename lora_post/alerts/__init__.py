"""Tell a person about trouble that lasts: rules, when one begins and ends, how it is sent."""

"""Turn LowCostLoRaGw's files into a configuration, for `import-lowcost`."""

"""Turn an installation of LowCostLoRaGw into a configuration, for `import-lowcost`."""

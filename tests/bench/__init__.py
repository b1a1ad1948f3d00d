"""What lora-post costs, measured: `python -m tests.bench NAME`, with --help for what each measures."""

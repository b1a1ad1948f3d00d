"""One run of lora-post, put together: inputs, pipeline, destinations, and what watches over them."""

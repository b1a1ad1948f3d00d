"""One run, put together: inputs, pipeline, destinations, and what watches over them."""

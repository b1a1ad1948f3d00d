"""The costs that `bench_growth` looks at, by what they depend on."""

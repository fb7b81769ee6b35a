"""The gRPC API: services, interceptor, health, reflection, profiler and TLS."""

"""The REST API: routes, middleware, connections and the OpenAPI description."""

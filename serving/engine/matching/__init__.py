"""Everything that matches a request, beyond the candidates of a search: facets count it, browsing orders it."""

from trainer import require_keras_2

require_keras_2()

"""The bundled model organism: training its adapter, its bars, and how often each method finds what it hides."""

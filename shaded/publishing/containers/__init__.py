"""One small codec per container: ``decode(data)`` to a picture, ``encode(pixels, source, carried, quality)`` to bytes.

A codec moves pixels and metadata between a file's bytes and memory; what is kept and what is refused is decided by its
callers. Every codec raises whatever its library raises for damaged data; ``reading.decode`` translates that.
"""

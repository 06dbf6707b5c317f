"""Holes: ranges of zeros in a file's coded pixels, where a copy was never written to its end, or a disk lost sectors.

Formats without check sums decode them to something, silently. Which runs of zeros an encoder writes itself differs
from format to format, and honest flat pictures are full of them; so each format has its own module. All here is pure
Python over bytes, since the idle daemon screens files with it. What only decoding can tell the codecs judge.
"""

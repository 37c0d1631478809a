//! End to end: real processes, real databases, the public API. The tests are in `tests/`.

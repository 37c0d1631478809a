//! The global's public listener from the outside: its real router over a real Postgres, with a clock that moves when it is told.
//! What needs processes, TLS or several servers is in `tests/federation`.

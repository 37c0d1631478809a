//! Joining, service tokens and tunnels at the real listener.
mod breaks;
mod join;
mod secrets;
mod service_token;
mod tunnel;

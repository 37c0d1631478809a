//! Joining, service tokens and tunnels at the real listener.
mod join;
mod service_token;
mod tunnel;

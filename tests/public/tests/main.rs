//! The public listener from the outside: a real router over a real Postgres.
#[cfg(test)]
mod accounts;
#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod background;
#[cfg(test)]
mod break_glass;
#[cfg(test)]
mod breaks;
#[cfg(test)]
mod conventions;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod device;
#[cfg(test)]
mod edits;
#[cfg(test)]
mod invitations;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod password;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod repeats;
#[cfg(test)]
mod reset;
mod roles;
#[cfg(test)]
mod second_factor;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod spellings;
#[cfg(test)]
mod strict;
#[cfg(test)]
mod switch;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod two_tenants;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod web;
#[cfg(test)]
mod world;

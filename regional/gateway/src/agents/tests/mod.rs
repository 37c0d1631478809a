mod breaks;
mod enrolment;
mod live;
mod people;
mod renewal;
mod requests;
mod sessions;

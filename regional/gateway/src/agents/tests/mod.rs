mod enrolment;
mod live;
mod renewal;
mod requests;
mod sessions;

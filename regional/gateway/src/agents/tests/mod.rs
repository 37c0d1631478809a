mod enrolment;
mod live;
mod requests;
mod sessions;

//! How often mail may be asked for one address: three times an hour, counted whether or not somebody has it.
use super::store;
use crate::app::App;
use exarch_common_http::Problem;
use exarch_common_pg::DbError;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

const MOST: usize = 3;
const WITHIN: Duration = Duration::HOUR;

/// Counts a request for mail to an address; 429 when there were three within an hour.
///
/// # Errors
/// 429; the database.
pub async fn may_ask(app: &App, conn: &mut PgConnection, email_index: &[u8; 32], kind: &str) -> Result<(), Problem> {
    let now = app.ambient.now();
    let asked = store::lock_limit(&mut *conn, email_index, kind, now).await?;
    match count(asked, now) {
        Ok(asked) => Ok(store::save_limit(conn, email_index, kind, &asked).await?),
        Err(wait) => Err(Problem::too_many(wait.unsigned_abs())
            .detail("This was asked for three times within an hour: wait a little.")),
    }
}

/// Counts a mail that is about to be sent, whoever asked for it; how long it has to wait when there were three within an hour.
///
/// # Errors
/// The database.
pub(super) async fn may_send(
    app: &App,
    conn: &mut PgConnection,
    email_index: &[u8; 32],
    kind: &str,
) -> Result<Option<Duration>, DbError> {
    let now = app.ambient.now();
    let sent = store::lock_limit(&mut *conn, email_index, kind, now).await?;
    match count(sent, now) {
        Ok(sent) => {
            store::save_limit(conn, email_index, kind, &sent).await?;
            Ok(None)
        }
        Err(wait) => Ok(Some(wait)),
    }
}

/// With this request, or how long until one is possible.
fn count(mut asked: Vec<OffsetDateTime>, now: OffsetDateTime) -> Result<Vec<OffsetDateTime>, Duration> {
    asked.retain(|at| *at + WITHIN > now);
    match asked.iter().min() {
        Some(first) if asked.len() >= MOST => Err(*first + WITHIN - now),
        _ => {
            asked.push(now);
            Ok(asked)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    proptest! {
        #[test]
        fn never_more_than_three_within_an_hour_and_never_closed_for_longer(
            gaps in proptest::collection::vec(0i64..3000, 1..60),
        ) {
            let (mut asked, mut now, mut passed) = (Vec::new(), datetime!(2026-01-01 0:00 UTC), Vec::new());
            for seconds in gaps {
                now += Duration::seconds(seconds);
                match count(asked.clone(), now) {
                    Ok(next) => {
                        asked = next;
                        passed.push(now);
                    }
                    Err(wait) => {
                        prop_assert!(wait > Duration::ZERO && wait <= WITHIN);
                        prop_assert!(count(asked.clone(), now + wait).is_ok());
                    }
                }
                prop_assert!(passed.iter().filter(|at| **at + WITHIN > now).count() <= MOST);
            }
        }
    }
}

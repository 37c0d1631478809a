//! `exarch logout`: the session ends at the global and in the regions, and nothing of it stays here.
use crate::{Failure, context::Context, failure::Exit};

/// Ends the session.
pub async fn run(cx: &Context) -> Result<(), Failure> {
    let locked = cx.tokens.store().lock().await?;
    if locked.load()?.session.is_none() {
        cx.out.remark("Nobody is signed in.");
        return Ok(());
    }
    let ended = match cx.tokens.fresh_under(&locked).await {
        Ok((global, session)) => {
            let api = cx.tokens.anonymous(&global)?.bearer(session.access.token);
            api.act("/v1/auth/sign-out").await
        }
        Err(failure) => Err(failure),
    };
    // Whatever the global says: who signs out wants nothing left on this machine.
    if let Some(cause) = locked.forget_session().await? {
        cx.out
            .remark(&format!("The refresh token could not be taken out of {cause}."));
    }
    match ended {
        Ok(_) => {}
        // It had ended before.
        Err(failure) if failure.exit() == Exit::Denied => {}
        Err(failure) => {
            cx.out
                .remark("Nothing of the session is left here, but it could not be ended at the global.");
            return Err(failure);
        }
    }
    cx.out.remark("Signed out.");
    Ok(())
}

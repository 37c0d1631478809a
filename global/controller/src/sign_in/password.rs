//! Which passwords are accepted: long ones that are in no list. No rules of composition, no forced change.
use exarch_common_base::{ExposeSecret, SecretString};
use exarch_common_crypto::password::{MAX_CHARACTERS, characters};
use exarch_common_http::Problem;

/// Characters at least.
pub const MIN_CHARACTERS: usize = 15;
/// Characters at least where a tenant asks for a second factor, without which the password then opens nothing.
pub const MIN_BESIDE_A_FACTOR: usize = 12;

/// How many characters a password has at least.
pub const fn least(second_factor_required: bool) -> usize {
    if second_factor_required {
        MIN_BESIDE_A_FACTOR
    } else {
        MIN_CHARACTERS
    }
}

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// Too few characters.
    #[error("has fewer than {0} characters")]
    Short(usize),
    /// Too many.
    #[error("has more than {MAX_CHARACTERS} characters")]
    Long,
    /// In a list of those that are tried first, or next to nothing repeated.
    #[error("is one of those that are tried first")]
    Known,
    /// The one in use.
    #[error("is the present one")]
    Present,
    /// The address, or close to it.
    #[error("is the e-mail address")]
    Address,
}

/// Long enough and still among the first that anybody tries.
const BLOCKED: &str = include_str!("blocklist.txt");

/// The problem of a new password that is not accepted.
pub fn weak(why: Weak) -> Problem {
    Problem::unprocessable("weak-password")
        .detail(format!("The new password {why}: choose another one."))
        .error("/new_password", why.to_string())
}

/// Judges a new password of the person with this address, of at least so many characters. It is taken as it is: never trimmed.
///
/// # Errors
/// [`Weak`].
pub fn check(password: &SecretString, email: &str, least: usize) -> Result<(), Weak> {
    let password = password.expose_secret();
    let characters = characters(password);
    if characters < least {
        return Err(Weak::Short(least));
    }
    if characters > MAX_CHARACTERS {
        return Err(Weak::Long);
    }
    let lower = password.to_lowercase();
    if lower.trim() == email || lower.trim() == email.split('@').next().unwrap_or_default() {
        return Err(Weak::Address);
    }
    let bare: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    if BLOCKED.lines().any(|blocked| bare == blocked) || repeats(&lower) {
        return Err(Weak::Known);
    }
    Ok(())
}

/// Up to six characters over and over, such as `abcabcabcabcabc`.
fn repeats(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    (1..=6).any(|period| {
        characters
            .iter()
            .zip(characters.iter().skip(period))
            .all(|(a, b)| a == b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(password: &str) -> Result<(), Weak> {
        check(&password.to_owned().into(), "ada.lovelace@example.org", MIN_CHARACTERS)
    }

    #[test]
    fn beside_a_second_factor_twelve_characters_are_enough_and_eleven_are_not() {
        let judged = |password: &str| check(&password.to_owned().into(), "ada@example.org", least(true));
        assert_eq!(judged("äöüqwrt23u4x"), Ok(()));
        assert_eq!(judged("äöüqwrt23u4"), Err(Weak::Short(12)));
        assert_eq!(judged("password1234"), Err(Weak::Known));
        assert_eq!(least(false), 15);
    }

    #[test]
    fn length_is_counted_in_characters_and_nothing_is_trimmed() {
        assert_eq!(judged("äöüäöüßäöüqwrt"), Err(Weak::Short(15)));
        assert_eq!(judged("äöüäöüßäöüqwrtz"), Ok(()));
        assert_eq!(judged("   fourteen...."), Ok(()));
        // letter and dots apart are one character, as on another keyboard
        assert_eq!(judged(&"a\u{308}".repeat(14)), Err(Weak::Short(15)));
        assert_eq!(judged(&"ab1cd2ef".repeat(32)), Ok(()));
        assert_eq!(judged(&format!("{}x", "ab1cd2ef".repeat(32))), Err(Weak::Long));
    }

    #[test]
    fn what_is_tried_first_is_refused_however_it_is_dressed() {
        for known in [
            "passwordpassword",
            "Password-Password",
            "123456789012345",
            "correct horse battery staple",
            "aaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabc",
            "qwertyuiopasdfghjkl",
        ] {
            assert_eq!(judged(known), Err(Weak::Known), "{known}");
        }
        assert_eq!(judged("ada.lovelace@example.org"), Err(Weak::Address));
    }

    #[test]
    fn the_list_is_in_the_form_that_is_compared() {
        for line in BLOCKED.lines() {
            assert!(
                line.chars().count() >= MIN_BESIDE_A_FACTOR,
                "{line} is too short to matter"
            );
            assert!(
                line.chars().all(|c| c.is_alphanumeric() && !c.is_uppercase()),
                "{line} would never match"
            );
        }
    }
}

//! What the tests are written with. Nothing in here knows what claudebox should do.

pub mod api;
pub mod canaries;
pub mod claude;
pub mod pty;
pub mod running;
pub mod schema;
pub mod terminal;
pub mod test;
pub mod tls;
pub mod user;

pub use test::Test;
pub use user::User;

/// Where a test's programs are found: the system's directories and nothing of the machine that runs the suite.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// Makes two tests of one: as root and as an ordinary user.
macro_rules! as_both {
    ($($(#[doc = $doc:literal])* fn $name:ident($user:ident: User) $body:block)+) => {
        $(
            mod $name {
                use super::*;

                $(#[doc = $doc])*
                fn check($user: User) $body

                #[test]
                fn as_root() {
                    check(User::Root);
                }

                #[test]
                fn as_user() {
                    check(User::Ordinary);
                }
            }
        )+
    };
}
pub(crate) use as_both;

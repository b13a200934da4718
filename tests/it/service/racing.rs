//! Applications while accounts change, on two instances.

use std::time::Duration;

use latchkey::identity::Role;

use crate::harness::{AtApplication, OTHER_PASSWORD, PASSWORD, Site, Visitor, World, run_alone};

/// What ends somebody's use of an application.
#[derive(Clone, Copy, Debug)]
enum End {
    SignOut,
    Block,
    NewPassword,
    OtherRole,
}

/// Somebody at work, a superuser, and what the first one's password is.
struct People {
    ann: Visitor,
    keeper: Visitor,
    id: String,
    password: &'static str,
}

impl People {
    async fn end(&mut self, how: End) {
        let act = |act: &str| format!("/admin/users/{}/{act}/", self.id);
        match how {
            End::SignOut => {
                self.ann.post("/auth/sign-out/", &[]).await;
            }
            End::Block => {
                self.keeper.post(&act("block"), &[("reason", "spam")]).await;
                self.keeper.status(200);
            }
            End::NewPassword => {
                let new = if self.password == PASSWORD { OTHER_PASSWORD } else { PASSWORD };
                let fields =
                    [("current_password", self.password), ("password", new), ("confirm_password", new)];
                self.ann.post("/user-profile/update-password/", &fields).await;
                self.ann.status(200);
                self.password = new;
            }
            End::OtherRole => {
                self.keeper.post(&act("role"), &[("role", "staff"), ("reason", "helps out")]).await;
                self.keeper.status(200);
            }
        }
    }

    /// Everything as it was, and signed in.
    async fn begin_again(&mut self, after: End) {
        let act = |act: &str| format!("/admin/users/{}/{act}/", self.id);
        match after {
            End::SignOut | End::NewPassword => {}
            End::Block => {
                self.keeper.post(&act("unblock"), &[]).await;
            }
            End::OtherRole => {
                self.keeper.post(&act("role"), &[("role", "user"), ("reason", "done")]).await;
            }
        }
        self.ann.post("/auth/sign-out/", &[]).await;
        self.ann.sign_in("annalee", self.password).await;
        assert!(self.ann.path().starts_with("/user-profile/"), "{}", self.ann.page());
    }
}

#[test]
fn what_ends_while_requests_and_tickets_are_under_way_is_over_on_both_instances() {
    for world in World::ALL {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || {
            let more = [("RATE_LIMITS", "off")];
            let (here, there) = (sandbox.site_with(&more).await, sandbox.site_with(&more).await);
            here.appoint(Role::Superuser, "keeper").await;
            let mut keeper = here.visitor();
            keeper.sign_in_at("/auth/sign-in/superuser/", "keeper", OTHER_PASSWORD).await;
            let ann = here.member("annalee").await;
            let id = here.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0);
            let mut people = People { ann, keeper, id, password: PASSWORD };
            let ends = [End::SignOut, End::Block, End::NewPassword, End::OtherRole];
            let mut first = 0;
            for round in 0..250 {
                let how = ends[round % ends.len()];
                first += usize::from(race(&here, &there, &mut people, how).await);
                people.begin_again(how).await;
            }
            assert!((10..240).contains(&first), "the ticket was first {first} times of 250");
            here.stop().await;
            there.stop().await;
        });
    }
}

/// Races once; returns whether the ticket was first.
async fn race(here: &Site, there: &Site, people: &mut People, how: End) -> bool {
    let mut wiki = AtApplication::new(here, "wiki.example.org");
    assert_eq!(wiki.open(&mut people.ann, "/").await.status, 200);
    let mut elsewhere = wiki.at(there);
    assert!(elsewhere.is_in().await, "{how:?}");
    // A ticket that is used at the same moment, at the other instance.
    let mut fresh = AtApplication::new(there, "wiki.example.org");
    let asked = fresh.visit("/").await;
    let path = asked.location().strip_prefix(&there.url).expect("an instance").to_owned();
    people.ann.visit(&path).await;
    let with_ticket = fresh.led_on(&people.ann);
    let (mut one, mut other) = (wiki.clone(), elsewhere.clone());
    // Hashing takes its time: the ticket is used before, during and after what ends it.
    let later = async {
        tokio::time::sleep(Duration::from_micros(rand::random_range(0..6000))).await;
        fresh.visit(&with_ticket).await
    };
    let (.., entered) = futures_util::join!(people.end(how), one.fetch("/a"), other.fetch("/b"), later);
    for (name, browser) in [("here", &mut wiki), ("there", &mut elsewhere), ("by ticket", &mut fresh)] {
        let said = browser.fetch("/").await;
        assert!(matches!(said.status, 401 | 403), "{how:?}, {name}: {said:?}");
    }
    entered.status == 302 && entered.headers.contains_key("set-cookie")
}

//! The admin pages.

mod acts;
mod guards;
mod lists;

use latchkey::identity::Role;

use crate::harness::{OTHER_PASSWORD, Site, Visitor};

/// A superuser who just signed in.
pub async fn superuser(site: &Site) -> Visitor {
    admin(site, Role::Superuser, "chief").await
}

pub async fn admin(site: &Site, role: Role, name: &str) -> Visitor {
    site.appoint(role, name).await;
    let mut visitor = site.visitor();
    visitor.sign_in_at(&format!("/auth/sign-in/{}/", role.as_str()), name, OTHER_PASSWORD).await;
    visitor.status(200).see("Overview");
    visitor
}

/// Opens the page of a person.
pub async fn open(visitor: &mut Visitor, name: &str) -> String {
    visitor.visit(&format!("/admin/users/?q={name}")).await;
    let page = visitor.page().body.clone();
    let start =
        page.find("<a class=\"me\" href=\"/admin/users/").unwrap_or_else(|| panic!("{name} in {page}"));
    let path = page[start..].split('"').nth(3).unwrap().to_owned();
    visitor.visit(&path).await;
    visitor.status(200).see(&format!("@{name}"));
    path
}

/// Sends the form of an act as its page does.
pub async fn act(visitor: &mut Visitor, path: &str, act: &str, fields: &[(&str, &str)]) -> u16 {
    visitor.post(&format!("{path}{act}/"), fields).await.status
}

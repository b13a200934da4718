//! One's own account.

mod activity;
mod devices;
mod dormancy;
mod downloading;
mod leaving;
mod profile;
mod taking_back;
mod two_factor;
mod undoing;

use crate::harness::{Site, Visitor};

/// Gives an account another address, with the code that is mailed there.
async fn change_email(site: &Site, visitor: &mut Visitor, password: &str, address: &str) {
    visitor.visit("/user-profile/change-email/").await;
    visitor.fill("New email address", address).fill("Current password", password);
    visitor.press("Send the code").await;
    let code = site.code_to(address).await;
    visitor.fill("Code", &code).press("Confirm").await;
    visitor.status(200).see("Your email address has been changed.");
}

//! The main job, from end to end, as a person with no script in the browser does it.

use crate::harness::pictures;
use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, stories};

stories! {
    from_sign_up_to_a_new_address_and_password,
}

async fn from_sign_up_to_a_new_address_and_password(site: &Site) {
    let mut ann = site.visitor();
    ann.visit("/").await;
    ann.follow("Create an account").await;
    ann.fill("Username", "annalee").fill("Email address", "Ann@example.org");
    ann.fill("Password", PASSWORD).fill("Repeat the password", PASSWORD).press("Create account").await;
    ann.status(200).see("We sent a 6-digit code to Ann@example.org");

    let code = site.code_to("Ann@example.org").await;
    ann.fill("Code", &format!(" {} {} ", &code[..3], &code[3..])).press("Confirm").await;
    ann.status(200).see("Welcome! Your email address is confirmed.").see("@annalee User");

    ann.follow("Change username").await;
    ann.fill("Name", "Ann Lee")
        .fill("Phone", "+49 30 123-4567")
        .fill("About you", "Gardener.\nOwls & <b>figs</b>.");
    ann.press("Save").await;
    ann.see("Your changes have been saved.").see("Ann Lee").see("+49 30 1234567").see("Owls & <b>figs</b>.");

    ann.follow("Add a picture").await;
    ann.choose_file("Picture", "me.png", "image/png", &pictures::png(640, 480)).press("Save").await;
    ann.see("Your picture has been updated.");
    let picture = pictures::shown(&mut ann).await;
    assert_eq!((picture.width(), picture.height()), (256, 256));

    let mut elsewhere = site.visitor();
    elsewhere.sign_in("ANNALEE", PASSWORD).await;
    elsewhere.status(200).see("Ann Lee");

    ann.press("Sign out").await;
    ann.see("You've signed out.");
    assert!(!ann.is_signed_in().await);

    ann.visit("/auth/sign-in/user/").await;
    ann.follow("Forgot your password?").await;
    ann.fill("Username or email address", "ann@EXAMPLE.org").press("Send the link").await;
    ann.see("Check your inbox");
    let link = site.mail_to("Ann@example.org").await.link("/auth/reset-password/");
    ann.visit(&link).await;
    ann.see("You're changing the password for annalee.");
    ann.fill("New password", OTHER_PASSWORD)
        .fill("Repeat the new password", OTHER_PASSWORD)
        .press("Change password")
        .await;
    ann.see("Your password has been changed. Sign in with the new one.");
    assert!(site.mail_to("Ann@example.org").await.subject.contains("Your password has been changed"));

    assert!(!elsewhere.is_signed_in().await, "the old session is dead");
    elsewhere.sign_in("annalee", PASSWORD).await;
    elsewhere.status(422);
    ann.sign_in("ann@example.org", OTHER_PASSWORD).await;
    ann.status(200).see("Ann Lee");

    ann.follow("Change email").await;
    ann.fill("New email address", "lee@example.org")
        .fill("Current password", OTHER_PASSWORD)
        .press("Send the code")
        .await;
    ann.see("We've sent a code to your new address.").see("we'll keep using Ann@example.org");
    let code = site.code_to("lee@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("Your email address has been changed.").see("lee@example.org");
    assert!(site.mail_to("Ann@example.org").await.text.contains("l•••@example.org"));

    ann.follow("Change password").await;
    ann.fill("Current password", OTHER_PASSWORD);
    ann.fill("New password", "marble thunder fig").fill("Repeat the new password", "marble thunder fig");
    ann.press("Change password").await;
    ann.see("Your password has been changed. You've been signed out on your other devices.");
    assert!(site.mail_to("lee@example.org").await.subject.contains("Your password has been changed"));

    ann.press("Sign out").await;
    ann.sign_in("lee@example.org", "marble thunder fig").await;
    ann.status(200).see("Ann Lee");
}

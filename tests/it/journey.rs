//! The main job, from end to end, as a person with no script in the browser does it.

use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, stories};
use crate::pictures;

stories! {
    async fn from_sign_up_to_a_new_address_and_password(site: &Site) {
        let mut ann = site.visitor();
        ann.visit("/").await;
        ann.follow("Create an account").await;
        ann.fill("Username", "annalee").fill("E-mail", "Ann@example.org");
        ann.fill("Password", PASSWORD).fill("Password again", PASSWORD).press("Create account").await;
        ann.status(200).see("We sent a code of six digits to: Ann@example.org");

        let code = site.code_to("Ann@example.org").await;
        ann.fill("Code", &format!(" {} {} ", &code[..3], &code[3..])).press("Confirm").await;
        ann.status(200).see("Your address is confirmed. Welcome!").see("@annalee User");

        ann.follow("Change details").await;
        ann.fill("Name", "Ann Lee").fill("Phone", "+49 30 123-4567").fill("About you", "Gardener.\nOwls & <b>figs</b>.");
        ann.press("Save").await;
        ann.see("Your details are saved.").see("Ann Lee").see("+49301234567").see("Owls & <b>figs</b>.");

        ann.follow("Change picture").await;
        ann.choose_file("Picture", "me.png", "image/png", &pictures::png(640, 480)).press("Save").await;
        ann.see("Your new picture is in place.");
        let picture = pictures::shown(&mut ann).await;
        assert_eq!((picture.width(), picture.height()), (256, 256));

        let mut elsewhere = site.visitor();
        elsewhere.sign_in("ANNALEE", PASSWORD).await;
        elsewhere.status(200).see("Ann Lee");

        ann.press("Sign out").await;
        ann.see("You are signed out.");
        assert!(!ann.is_signed_in().await);

        ann.visit("/auth/sign-in/user/").await;
        ann.follow("Forgot your password?").await;
        ann.fill("Username or e-mail", "ann@EXAMPLE.org").press("Send the link").await;
        ann.see("Look into your mailbox");
        let link = site.mail_to("Ann@example.org").await.link("/auth/reset-password/");
        ann.visit(&link).await;
        ann.see("For the account annalee.");
        ann.fill("New password", OTHER_PASSWORD).fill("New password again", OTHER_PASSWORD).press("Change password").await;
        ann.see("Your password is changed. Sign in with the new one.");
        assert!(site.mail_to("Ann@example.org").await.subject.contains("Your password was changed"));

        assert!(!elsewhere.is_signed_in().await, "the old session is dead");
        elsewhere.sign_in("annalee", PASSWORD).await;
        elsewhere.status(422);
        ann.sign_in("ann@example.org", OTHER_PASSWORD).await;
        ann.status(200).see("Ann Lee");

        ann.follow("Change e-mail").await;
        ann.fill("New e-mail", "lee@example.org").fill("Current password", OTHER_PASSWORD).press("Send the code").await;
        ann.see("We sent a code to the new address.").see("your address stays Ann@example.org");
        let code = site.code_to("lee@example.org").await;
        ann.fill("Code", &code).press("Confirm").await;
        ann.see("Your e-mail address is changed.").see("lee@example.org");
        assert!(site.mail_to("Ann@example.org").await.text.contains("l•••@example.org"));

        ann.follow("Change password").await;
        ann.fill("Current password", OTHER_PASSWORD);
        ann.fill("New password", "marble thunder fig").fill("New password again", "marble thunder fig");
        ann.press("Change password").await;
        ann.see("Your password is changed. Every other browser was signed out.");
        assert!(site.mail_to("lee@example.org").await.subject.contains("Your password was changed"));

        ann.press("Sign out").await;
        ann.sign_in("lee@example.org", "marble thunder fig").await;
        ann.status(200).see("Ann Lee");
    }
}

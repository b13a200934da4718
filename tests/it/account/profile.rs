//! One's own profile: what can be changed, who may see the picture, what becomes of strange files.

use image::ImageFormat;
use latchkey::identity::Role;
use reqwest::Method;

use crate::harness::pictures;
use crate::harness::{
    OTHER_PASSWORD, PASSWORD, Site, Visitor, at_once, first_line_of_answer, hours, minutes, stories,
};

async fn upload(visitor: &mut Visitor, name: &str, kind: &str, bytes: &[u8]) -> u16 {
    visitor.visit("/user-profile/change-picture/").await;
    visitor.choose_file("Picture", name, kind, bytes).press("Save").await.status
}

async fn ask_for_address(visitor: &mut Visitor, address: &str) {
    ask_with(visitor, address, PASSWORD).await;
}

async fn ask_with(visitor: &mut Visitor, address: &str, password: &str) {
    visitor.visit("/user-profile/change-email/").await;
    visitor.fill("New email address", address).fill("Current password", password);
    visitor.press("Send the code").await;
}

/// A JPEG that lies on its side and tells where it was taken.
fn jpeg_with_exif(orientation: u8) -> Vec<u8> {
    let jpeg = pictures::encoded(&pictures::fields(400, 200), ImageFormat::Jpeg);
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    tiff.extend([2, 0]);
    tiff.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    tiff.extend([0x25, 0x88, 4, 0, 1, 0, 0, 0, 38, 0, 0, 0]);
    tiff.extend([0, 0, 0, 0]);
    tiff.extend([1, 0, 0x1d, 0, 2, 0, 11, 0, 0, 0, 56, 0, 0, 0, 0, 0, 0, 0]);
    tiff.extend(b"2026:11:23\0GPS-SECRET");
    let exif = [&b"Exif\0\0"[..], &tiff].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

stories! {
    details_are_checked_and_kept_as_typed,
    a_new_address_counts_once_it_is_confirmed_and_can_be_cancelled,
    the_old_address_can_undo_a_change_for_three_days,
    of_two_hundred_undoings_at_once_one_counts,
    an_address_that_came_back_can_be_brought_back_again,
    a_change_of_address_is_no_mail_cannon,
    a_reset_link_dies_with_the_password_and_with_the_address_that_it_was_sent_to,
    a_copy_of_this_very_browser_is_signed_out_by_a_new_password,
    an_address_with_an_account_looks_like_any_other_here_too,
    asking_again_for_an_address_gives_no_more_guesses,
    ones_own_address_can_be_spelt_anew,
    a_new_password_needs_the_current_one_and_signs_others_out,
    four_formats_become_a_square_jpeg_and_can_be_removed,
    a_picture_is_turned_upright_and_tells_nothing_of_its_place,
    bombs_and_what_only_looks_like_a_picture_are_refused_kindly,
    a_polyglot_comes_out_as_clean_pixels,
    a_large_file_is_refused_before_it_is_read,
    a_picture_is_for_its_person_and_for_staff,
}

async fn details_are_checked_and_kept_as_typed(site: &Site) {
    site.member("bobbob").await;
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Username", "BOBBOB")
        .fill("Name", "Ann")
        .fill("Phone", "12")
        .fill("About you", &"x".repeat(501));
    ann.press("Save").await;
    ann.status(422);
    assert_eq!(ann.written("Phone"), "12");
    assert_ne!(ann.problem("Phone"), "");
    assert_ne!(ann.problem("About you"), "");
    ann.fill("Phone", "").fill("About you", "").press("Save").await;
    assert_eq!(ann.problem("Username"), "That username is taken. Choose another.");
    ann.fill("Username", "AnnaLee").press("Save").await;
    ann.see("Your changes have been saved.").see("@AnnaLee");
}

async fn a_new_address_counts_once_it_is_confirmed_and_can_be_cancelled(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/change-email/").await;
    ann.fill("New email address", "lee@example.org")
        .fill("Current password", OTHER_PASSWORD)
        .press("Send the code")
        .await;
    ann.status(422);
    assert_eq!(ann.problem("Current password"), "That isn't your current password.");
    assert_eq!(ann.written("New email address"), "lee@example.org");
    ann.fill("Current password", PASSWORD).press("Send the code").await;
    ann.see("We've sent a code to your new address.");
    let code = site.code_to("lee@example.org").await;
    ann.visit("/user-profile/").await;
    ann.see("annalee@example.org").see("Waiting for you to confirm lee@example.org.");
    ann.follow("Enter the code").await;
    ann.press("Cancel the change").await;
    ann.see("Change cancelled.").see("annalee@example.org");
    let late = ann.posting("/user-profile/change-email/verify/", &[("otp", &code)]);
    assert_eq!(late.send().await.unwrap().status().as_u16(), 410);
}

async fn the_old_address_can_undo_a_change_for_three_days(site: &Site) {
    let mut thief = site.member("annalee").await;
    ask_for_address(&mut thief, "thief@example.org").await;
    let code = site.code_to("thief@example.org").await;
    thief.fill("Code", &code).press("Confirm").await;
    thief.see("Your email address has been changed.");
    let undo = site.mail_to("annalee@example.org").await.link("/auth/undo-email/");

    // Once more: the first link still brings back the first address.
    site.wait(minutes(5)).await;
    ask_for_address(&mut thief, "second@example.org").await;
    let code = site.code_to("second@example.org").await;
    thief.fill("Code", &code).press("Confirm").await;
    // What was theirs for five minutes gives them nothing to come back with.
    let told = site.mail_to("thief@example.org").await;
    assert!(!told.text.contains("/auth/undo-email/"), "{}", told.text);

    site.wait(hours(48)).await;
    let mut ann = site.visitor();
    ann.visit(&undo).await;
    ann.status(200).see("annalee@example.org");
    ann.press("Restore this address").await;
    ann.see("Your old email address has been restored");
    assert!(!thief.is_signed_in().await);
    thief.sign_in("annalee", PASSWORD).await;
    thief.status(422).see("Wrong username or password.");
    let told = site.mail_to("second@example.org").await;
    assert_eq!(told.subject, "Your email address has been changed");
    ann.status(200).see("You're changing the password for annalee.");
    ann.visit(&undo).await;
    ann.status(410).see("This link has already been used");
}

/// Whoever gets their address back keeps a way back to it, also from somebody who takes it away again at once.
async fn an_address_that_came_back_can_be_brought_back_again(site: &Site) {
    let mut ann = site.member("annalee").await;
    let undo = change_address(site, &mut ann, "thief@example.org").await;
    // Back on the profile page: that uses the open link up.
    site.wait(minutes(5)).await;
    ask_for_address(&mut ann, "annalee@example.org").await;
    let code = site.code_to("annalee@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("Your email address has been changed.");
    ann.visit(&undo).await;
    ann.status(410);
    let told = site.mail_to("thief@example.org").await;
    assert!(!told.text.contains("/auth/undo-email/"), "{}", told.text);
    // And away again, within the hour.
    site.wait(minutes(5)).await;
    let undo = change_address(site, &mut ann, "second@example.org").await;
    let mut owner = site.visitor();
    owner.visit(&undo).await;
    owner.press("Restore this address").await;
    owner.see("Your old email address has been restored");
    owner.fill("New password", OTHER_PASSWORD).fill("Repeat the new password", OTHER_PASSWORD);
    owner.press("Change password").await;
    owner.sign_in("annalee@example.org", OTHER_PASSWORD).await;
    owner.status(200).see("@annalee");
    // After an undoing, too.
    site.wait(minutes(5)).await;
    ask_with(&mut owner, "third@example.org", OTHER_PASSWORD).await;
    let code = site.code_to("third@example.org").await;
    owner.fill("Code", &code).press("Confirm").await;
    loop {
        if site.mail_to("annalee@example.org").await.text.contains("/auth/undo-email/") {
            break;
        }
    }
}

/// One account mails only so much to strangers, under whatever spellings of an address.
async fn a_change_of_address_is_no_mail_cannon(site: &Site) {
    let mut eve = site.member("evelyn").await;
    let mut last = 0;
    for number in 0..40 {
        let fields =
            [("email", format!("victim+{number}@example.org")), ("current_password", PASSWORD.to_owned())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        eve.post("/user-profile/change-email/", &fields).await;
        last = eve.page().status;
    }
    assert_eq!(last, 429);
    let mails = site.count("SELECT COUNT(*) FROM outbox WHERE recipient LIKE 'victim%'").await;
    assert!(mails <= 12, "{mails}");
}

/// Changes the address; returns the link that undoes it.
async fn change_address(site: &Site, visitor: &mut Visitor, address: &str) -> String {
    ask_for_address(visitor, address).await;
    let code = site.code_to(address).await;
    visitor.fill("Code", &code).press("Confirm").await;
    visitor.see("Your email address has been changed.");
    loop {
        let mail = site.mail_to("annalee@example.org").await;
        if mail.text.contains("/auth/undo-email/") {
            return mail.link("/auth/undo-email/");
        }
    }
}

async fn of_two_hundred_undoings_at_once_one_counts(site: &Site) {
    let mut ann = site.member("annalee").await;
    let undo = change_address(site, &mut ann, "lee@example.org").await;
    let uses = (0..200).map(|_| site.visitor().posting(&undo, &[]));
    let answers = at_once(uses.collect::<Vec<_>>()).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 303).count(), 1, "{answers:?}");
    assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'email-restored'").await, 1);
}

async fn a_reset_link_dies_with_the_password_and_with_the_address_that_it_was_sent_to(site: &Site) {
    let mut ann = site.member("annalee").await;
    let request_link = async || {
        let mut visitor = site.visitor();
        visitor.visit("/auth/forgot-password/").await;
        visitor.fill("Username or email address", "annalee").press("Send the link").await;
        site.mail_to("annalee@example.org").await.link("/auth/reset-password/")
    };
    let link = request_link().await;
    ann.change_password(PASSWORD, OTHER_PASSWORD).await;
    ann.status(200);
    let mut visitor = site.visitor();
    visitor.visit(&link).await;
    visitor.status(410).see("This link no longer works");
    site.mail_to("annalee@example.org").await;
    site.wait(minutes(2)).await;
    let link = request_link().await;
    ann.visit("/user-profile/change-email/").await;
    ann.fill("New email address", "lee@example.org").fill("Current password", OTHER_PASSWORD);
    ann.press("Send the code").await;
    let code = site.code_to("lee@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("Your email address has been changed.");
    visitor.visit(&link).await;
    visitor.status(410).see("This link no longer works");
}

async fn a_copy_of_this_very_browser_is_signed_out_by_a_new_password(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut stolen = ann.twin();
    assert!(stolen.is_signed_in().await);
    ann.change_password(PASSWORD, OTHER_PASSWORD).await;
    ann.see("Your password has been changed.");
    assert!(ann.is_signed_in().await);
    assert!(!stolen.is_signed_in().await, "the cookie before is worth nothing");
}

async fn an_address_with_an_account_looks_like_any_other_here_too(site: &Site) {
    site.member("bobbob").await;
    let mut ann = site.member("annalee").await;
    site.wait(minutes(2)).await;
    ask_for_address(&mut ann, "bobbob@example.org").await;
    ann.status(200)
        .see("We've sent a code to your new address.")
        .see("We sent a 6-digit code to bobbob@example.org");
    assert_eq!(site.mail_to("bobbob@example.org").await.subject, "You already have an account");
    ann.fill("Code", "123456").press("Confirm").await;
    ann.status(422).see("You have 4 tries left");
}

async fn asking_again_for_an_address_gives_no_more_guesses(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut guesses = 0;
    for _ in 0..4 {
        ask_for_address(&mut ann, "stranger@example.org").await;
        while ann.page().sees("The code works for") {
            ann.fill("Code", "000000").press("Confirm").await;
            guesses += 1;
        }
        ann.visit("/user-profile/change-email/").await;
        ann.press("Cancel the change").await;
    }
    assert_eq!(guesses, 5, "one code was mailed, and five tries are its");
}

async fn ones_own_address_can_be_spelt_anew(site: &Site) {
    let mut ann = site.member("annalee").await;
    site.wait(minutes(2)).await;
    ask_for_address(&mut ann, "AnnaLee@example.org").await;
    let code = site.code_to("AnnaLee@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("Your email address has been changed.").see("AnnaLee@example.org");
}

async fn a_new_password_needs_the_current_one_and_signs_others_out(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut phone = site.visitor();
    phone.sign_in("annalee", PASSWORD).await;
    ann.visit("/user-profile/update-password/").await;
    ann.fill("Current password", OTHER_PASSWORD);
    ann.fill("New password", OTHER_PASSWORD)
        .fill("Repeat the new password", OTHER_PASSWORD)
        .press("Change password")
        .await;
    ann.status(422);
    ann.fill("Current password", PASSWORD);
    ann.fill("New password", OTHER_PASSWORD)
        .fill("Repeat the new password", OTHER_PASSWORD)
        .press("Change password")
        .await;
    ann.see("Your password has been changed. You've been signed out on your other devices.");
    assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your password has been changed");
    assert!(!phone.is_signed_in().await);
    assert!(ann.is_signed_in().await);
}

async fn four_formats_become_a_square_jpeg_and_can_be_removed(site: &Site) {
    let mut ann = site.member("annalee").await;
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("a.jpg", ImageFormat::Jpeg),
        ("a.gif", ImageFormat::Gif),
        ("a.webp", ImageFormat::WebP),
    ] {
        let status = upload(
            &mut ann,
            name,
            "application/octet-stream",
            &pictures::encoded(&pictures::fields(300, 500), format),
        )
        .await;
        assert_eq!(status, 200, "{name}: {}", ann.page());
        ann.see("Your picture has been updated.");
        let shown = pictures::shown(&mut ann).await.to_rgb8();
        assert_eq!(shown.dimensions(), (256, 256));
        let (corner, other) = (shown.get_pixel(20, 20), shown.get_pixel(235, 235));
        assert!(corner[0] > 180 && corner[1] < 80, "{name}: {corner:?}");
        assert!(other[0] > 180 && other[1] > 180 && other[2] < 90, "{name}: {other:?}");
    }
    let files = || std::fs::read_dir(site.folder.path().join("media")).unwrap().count();
    assert_eq!(files(), 2, "old files go: there is the picture, and what it can be cropped from");
    ann.visit("/user-profile/change-picture/").await;
    ann.press("Remove the picture").await;
    ann.see("Your picture has been removed.");
    assert_eq!(files(), 1, "what can be put back for a while");
}

async fn a_picture_is_turned_upright_and_tells_nothing_of_its_place(site: &Site) {
    let mut ann = site.member("annalee").await;
    let sideways = jpeg_with_exif(6);
    assert!(sideways.windows(10).any(|bytes| bytes == b"GPS-SECRET"));
    assert_eq!(upload(&mut ann, "a.jpg", "image/jpeg", &sideways).await, 200);
    let shown = pictures::shown(&mut ann).await.to_rgb8();
    // Turned by a quarter to the right, the red field is at the top right.
    assert!(
        shown.get_pixel(235, 20)[0] > 180 && shown.get_pixel(235, 20)[1] < 80,
        "{:?}",
        shown.get_pixel(235, 20)
    );
    let file = pictures::file(&mut ann).await;
    for secret in [&b"GPS"[..], b"Exif", b"2026:11"] {
        assert!(!file.windows(secret.len()).any(|bytes| bytes == secret));
    }
}

async fn bombs_and_what_only_looks_like_a_picture_are_refused_kindly(site: &Site) {
    let mut ann = site.member("annalee").await;
    let bomb = pictures::png_bomb(20_000, 20_000);
    assert!(bomb.len() < 500_000, "{} bytes", bomb.len());
    assert_eq!(upload(&mut ann, "bomb.png", "image/png", &bomb).await, 422);
    assert!(ann.problem("Picture").contains("12,000 × 12,000"), "{}", ann.problem("Picture"));
    // Whatever its colours, and however small its file: drawing takes its time for each pixel.
    assert_eq!(
        upload(&mut ann, "large.png", "image/png", &pictures::grey_png_bomb(12_000, 12_000)).await,
        422
    );
    assert!(ann.problem("Picture").contains("50 megapixels"));
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>"#;
    let html = b"<!DOCTYPE html><script>alert(document.domain)</script>";
    let cut = &pictures::png(300, 300)[..600];
    let files: [(&str, &str, &[u8]); 5] = [
        ("a.svg", "image/svg+xml", svg),
        ("a.png", "image/png", html),
        ("a.png", "image/png", cut),
        ("a.gif", "image/gif", b"GIF89a"),
        ("a.bmp", "image/bmp", b"BM\x3a\0\0\0\0\0\0\0"),
    ];
    for (name, kind, bytes) in files {
        assert_eq!(upload(&mut ann, name, kind, bytes).await, 422, "{name}");
        assert_ne!(ann.problem("Picture"), "", "{name}");
    }
    ann.visit("/user-profile/change-picture/").await;
    ann.press("Save").await;
    ann.status(422).see("Choose a picture.");
    assert_eq!(std::fs::read_dir(site.folder.path().join("media")).unwrap().count(), 0);
}

async fn a_polyglot_comes_out_as_clean_pixels(site: &Site) {
    let mut ann = site.member("annalee").await;
    let polyglot = [&pictures::png(300, 300)[..], b"<script>alert(1)</script>"].concat();
    assert_eq!(upload(&mut ann, "a.html", "text/html", &polyglot).await, 200);
    let file = pictures::file(&mut ann).await;
    assert!(!file.windows(7).any(|bytes| bytes == b"<script"));
    let address = pictures::address(&ann);
    let answer = ann.request(Method::GET, &address).send().await.unwrap();
    assert_eq!(answer.headers()["content-security-policy"], "sandbox; default-src 'none'");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
}

async fn a_large_file_is_refused_before_it_is_read(site: &Site) {
    let mut ann = site.member("annalee").await;
    assert_eq!(upload(&mut ann, "a.png", "image/png", &vec![0; 10 * 1024 * 1024 + 1]).await, 422);
    assert!(ann.problem("Picture").contains("10 MB"));
    // Only the head: it is refused by what it declares.
    let cookie = format!("latchkey={}", ann.cookie("latchkey").unwrap());
    let head = format!(
        "POST /user-profile/change-picture/ HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nCookie: {cookie}\r\n\
         Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 12582912\r\n\r\n"
    );
    let first = first_line_of_answer(site, &head).await;
    assert!(first.contains(" 413 "), "{first}");
    assert!(ann.is_signed_in().await, "the server goes on");
}

async fn a_picture_is_for_its_person_and_for_staff(site: &Site) {
    site.appoint(Role::Staff, "stafford").await;
    let mut ann = site.member("annalee").await;
    upload(&mut ann, "a.png", "image/png", &pictures::png(300, 300)).await;
    let address = pictures::address(&ann);
    let mut staff = site.visitor();
    staff.sign_in_at("/auth/sign-in/staff/", "stafford", OTHER_PASSWORD).await;
    let status = async |visitor: &Visitor| {
        visitor.request(Method::GET, &address).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(&ann).await, 200);
    assert_eq!(status(&staff).await, 200);
    assert_eq!(status(&site.member("bobbob").await).await, 404);
    assert_eq!(status(&site.visitor()).await, 303);
    for strange in ["..%2f..%2fdb.sqlite3", "a.jpg", "%00"] {
        ann.visit(&format!("/user-profile/picture/{strange}/")).await;
        ann.status(404);
    }
}

//! A change of one's own account that is undone within ten minutes, instead of being asked about before.

use crate::harness::{PASSWORD, Site, hours, minutes, pictures, stories};

stories! {
    a_change_of_details_is_undone_once,
    a_change_is_undone_within_ten_minutes_and_by_its_own_account_alone,
    a_name_that_somebody_else_took_stays_theirs,
    a_picture_that_was_removed_comes_back,
}

async fn a_change_of_details_is_undone_once(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann Lee").fill("About you", "Likes tea\nand “quotes”").press("Save").await;
    ann.status(200).see("Your changes have been saved.").see("You can undo this until");
    site.wait(minutes(1)).await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Username", "annother").fill("Name", "").fill("About you", "").press("Save").await;
    ann.status(200).see("@annother");
    // Also a while later, from the same page.
    site.wait(minutes(8)).await;
    ann.visit("/user-profile/").await;
    let before = ann.twin();
    ann.press("Undo").await;
    ann.status(200).see("Your change has been undone.").see("@annalee").see("Ann Lee").see("Likes tea");
    assert!(!ann.page().sees("You can undo this"));
    let mut again = before;
    let used = again.cookie("latchkey-undo-details").expect("a cookie").to_owned();
    again.press("Undo").await;
    again.status(200).see("can't be undone any more").see("@annalee");
    // The same change once more does not bring the first undo back.
    ann.visit("/user-profile/update/").await;
    ann.fill("Username", "annother").press("Save").await;
    again.set_cookie("latchkey-undo-details", &used);
    again.post("/user-profile/undo/details/", &[]).await;
    again.see("can't be undone any more").see("@annother");
    assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'details-changed'").await, 4);
}

async fn a_change_is_undone_within_ten_minutes_and_by_its_own_account_alone(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann Lee").press("Save").await;
    let mut bob = site.member("bobbob").await;
    let cookie = ann.cookie("latchkey-undo-details").expect("a cookie").to_owned();
    bob.set_cookie("latchkey-undo-details", &cookie);
    bob.visit("/user-profile/").await;
    assert!(!bob.page().sees("You can undo this"), "{}", bob.page());
    bob.post("/user-profile/undo/details/", &[]).await;
    bob.status(200).see("can't be undone any more");
    site.wait(minutes(11)).await;
    ann.visit("/user-profile/").await;
    assert!(!ann.page().sees("You can undo this"), "{}", ann.page());
    ann.post("/user-profile/undo/details/", &[]).await;
    ann.see("can't be undone any more").see("Ann Lee");
    // Without any offer, and by an address that somebody typed.
    ann.visit("/user-profile/undo/picture/").await;
    assert_eq!(ann.path(), "/user-profile/");
}

async fn a_name_that_somebody_else_took_stays_theirs(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Username", "annother").press("Save").await;
    site.member("annalee2").await;
    let mut bob = site.visitor();
    bob.sign_in("annalee2", PASSWORD).await;
    bob.visit("/user-profile/update/").await;
    bob.fill("Username", "annalee").press("Save").await;
    bob.status(200).see("@annalee");
    ann.visit("/user-profile/").await;
    ann.press("Undo").await;
    ann.status(200).see("Your old username now belongs to someone else").see("@annother");
}

async fn a_picture_that_was_removed_comes_back(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/change-picture/").await;
    ann.choose_file("Picture", "me.png", "image/png", &pictures::png(64, 64)).press("Save").await;
    ann.visit("/user-profile/").await;
    let shown = |body: &str| body.contains("/user-profile/picture/");
    assert!(shown(&ann.page().body));
    ann.visit("/user-profile/change-picture/").await;
    ann.press("Remove the picture").await;
    ann.status(200).see("Your picture has been removed.").see("You can undo this until");
    assert!(!shown(&ann.page().body));
    ann.press("Undo").await;
    ann.status(200).see("Your change has been undone.");
    assert!(shown(&ann.page().body), "{}", ann.page().body);
    // Removed for good, nothing of it is left: also when it was the only picture of the site.
    ann.visit("/user-profile/change-picture/").await;
    ann.press("Remove the picture").await;
    let media = site.folder.path().join("media");
    let files = || {
        std::fs::read_dir(&media)
            .unwrap()
            .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "jpg"))
            .count()
    };
    let old = std::time::SystemTime::now() - hours(2);
    for file in std::fs::read_dir(&media).unwrap() {
        let file = std::fs::File::options().write(true).open(file.unwrap().path()).unwrap();
        file.set_modified(old).unwrap();
    }
    latchkey::housekeeping::sweep(&site.app).await.unwrap();
    assert_eq!(files(), 0);
}

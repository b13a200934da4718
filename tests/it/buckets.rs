//! Pictures in S3-compatible storage, shared by instances that share no folder.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::commands::{latchkey, said};
use crate::harness::pictures;
use crate::harness::{Bucket, MailServer, Site, Visitor, run_alone};

async fn upload(visitor: &mut Visitor, width: u32) -> u16 {
    visitor.visit("/user-profile/change-picture/").await;
    let png = pictures::png(width, 300);
    visitor.choose_file("Picture", "a.png", "image/png", &png).press("Save").await.status
}

#[test]
fn a_picture_kept_by_one_instance_is_shown_by_the_other() {
    run_alone(async || {
        let bucket = Bucket::start().await;
        let (mail, folder) = (MailServer::start().await, tempfile::tempdir().unwrap());
        let mut settings = bucket.settings();
        settings.insert("DATABASE_URL", format!("sqlite://{}", folder.path().join("db.sqlite3").display()));
        let start =
            async || Site::start_in(tempfile::tempdir().unwrap(), mail.clone(), settings.clone()).await;
        let (one, other) = (start().await, start().await);
        let mut ann = one.member("annalee").await;
        assert_eq!(upload(&mut ann, 300).await, 200);
        ann.go_to(&other).visit("/user-profile/").await;
        assert_eq!(pictures::shown(&mut ann).await.width(), 256);
        assert_eq!(upload(&mut ann, 500).await, 200);
        // The picture, and what it can be cropped from.
        assert_eq!(bucket.pictures().len(), 2, "old pictures go: {:?}", bucket.pictures());
        ann.visit("/user-profile/change-picture/").await;
        ann.press("Remove the picture").await;
        ann.see("Your picture has been removed.");
        assert_eq!(bucket.pictures().len(), 1, "what can be put back for a while");
        for site in [&one, &other] {
            assert!(!site.folder.path().join("media").exists(), "nothing lies in a folder");
        }
        drop((one.stop().await, other.stop().await));
    });
}

#[test]
fn while_the_storage_is_away_only_pictures_have_to_wait() {
    run_alone(async || {
        let mut bucket = Bucket::start().await;
        let site = Site::start(bucket.settings()).await;
        let mut ann = site.member("annalee").await;
        assert_eq!(upload(&mut ann, 300).await, 200);
        let address = pictures::address(&ann);
        bucket.stop();
        let started = std::time::Instant::now();
        assert_eq!(upload(&mut ann, 300).await, 503);
        assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
        ann.see("Nothing has been lost.");
        ann.visit(&address).await;
        ann.status(503);
        assert!(ann.is_signed_in().await);
        assert_eq!(pictures::address(&ann), address, "the old picture is still the one");
        bucket.go_on().await;
        assert_eq!(pictures::shown(&mut ann).await.width(), 256);
        assert_eq!(upload(&mut ann, 300).await, 200);
        assert_eq!(bucket.pictures().len(), 2, "the picture, and what it can be cropped from");
        site.stop().await;
    });
}

#[test]
fn what_a_crash_left_in_the_bucket_is_swept_up_and_nothing_else() {
    run_alone(async || {
        let bucket = Bucket::start().await;
        let site = Site::start(bucket.settings()).await;
        let mut ann = site.member("annalee").await;
        assert_eq!(upload(&mut ann, 300).await, 200);
        // Beside it lies what it can be cropped from, which no account names.
        let address = pictures::address(&ann);
        let name = address.trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
        let is_named = |file: &std::path::PathBuf| file.to_string_lossy().contains(&name);
        let kept = bucket.pictures().into_iter().find(is_named).unwrap();
        let beside = |name: &str| kept.with_file_name(name);
        let (left, new, foreign) =
            (beside("AAAAAAAAAAAAAAAAAAAAAA.jpg"), beside("BBBBBBBBBBBBBBBBBBBBBB.jpg"), beside("notes.txt"));
        let two_hours_ago = SystemTime::now() - Duration::from_secs(7200);
        for (file, is_old) in [(&left, true), (&new, false), (&foreign, true), (&kept, true)] {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
            if is_old {
                file.set_modified(two_hours_ago).unwrap();
            }
        }
        latchkey::housekeeping::sweep(&site.app).await.unwrap();
        assert!(!left.exists(), "nobody's picture goes");
        for file in [&kept, &new, &foreign] {
            assert!(file.exists(), "{} stays", file.display());
        }
        site.stop().await;
    });
}

#[test]
fn a_folder_that_looks_like_another_sites_is_left_alone() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let file = site.folder.path().join("media").join("AAAAAAAAAAAAAAAAAAAAAA.jpg");
        std::fs::write(&file, "somebody's picture").unwrap();
        let two_hours_ago = SystemTime::now() - Duration::from_secs(7200);
        std::fs::File::options().append(true).open(&file).unwrap().set_modified(two_hours_ago).unwrap();
        // What a part was to be chosen from is of no use to any site after an hour, and shows somebody.
        let source = site.folder.path().join("media").join("AAAAAAAAAAAAAAAAAAAAAA.source.jpg");
        std::fs::write(&source, "all of somebody's picture").unwrap();
        std::fs::File::options().append(true).open(&source).unwrap().set_modified(two_hours_ago).unwrap();
        // Nobody here has a picture: a fresh database, or the wrong one.
        latchkey::housekeeping::sweep(&site.app).await.unwrap();
        assert!(file.exists() && !source.exists());
        site.stop().await;
    });
}

#[test]
fn a_bucket_that_cannot_be_written_to_is_told_before_anybody_needs_it() {
    run_alone(async || {
        let bucket = Bucket::start().await;
        let mut settings: HashMap<_, _> = bucket.settings();
        settings.extend([("SECRET_KEY", "k".repeat(64)), ("EMAIL_BACKEND", "console".to_owned())]);
        let check = async |settings: HashMap<&'static str, String>| {
            let run = move || {
                let folder = tempfile::tempdir().unwrap();
                let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
                latchkey(folder.path(), &["migrate"], &settings, "");
                latchkey(folder.path(), &["check"], &settings, "")
            };
            tokio::task::spawn_blocking(run).await.unwrap()
        };
        let output = check(settings.clone()).await;
        assert!(said(&output).contains("ok      pictures") && output.status.success(), "{}", said(&output));
        settings.insert("AWS_SECRET_ACCESS_KEY", "hunter2-hunter2".to_owned());
        let output = check(settings).await;
        assert!(said(&output).contains("FAILED  pictures"), "{}", said(&output));
        assert_eq!(output.status.code(), Some(1));
        for secret in ["hunter2", Bucket::SECRET] {
            assert!(!said(&output).contains(secret), "{}", said(&output));
        }
    });
}

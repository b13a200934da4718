//! Some two hundred pictures of every kind, drawn by us and by `ImageMagick`: the same pixels come out, or a refusal.

use std::path::Path;
use std::process::Command;

use super::decoding::DrawError;
use super::drawing::square;

/// Debian's, whatever stands before it in the path.
const CONVERT: &str = "/usr/bin/convert";

/// Runs the reference; its output.
fn convert(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(CONVERT).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether the reference is there; it must be where all services are.
fn is_there() -> bool {
    let is_there = Path::new(CONVERT).exists();
    assert!(
        is_there || std::env::vars_os().all(|(name, _)| name != "REQUIRE_SERVICES"),
        "{CONVERT} is missing"
    );
    is_there
}

/// What ends up as the picture, by the reference.
fn reference(file: &Path) -> Vec<u8> {
    let file = format!("{}[0]", file.display());
    let size =
        String::from_utf8(convert(&[&file, "-auto-orient", "+repage", "-format", "%w %h", "info:"])).unwrap();
    let (width, height) = size.split_once(' ').unwrap();
    let edge = width.parse::<u32>().unwrap().min(height.parse().unwrap());
    let crop = format!("{edge}x{edge}+0+0");
    let mut arguments = vec![
        file.as_str(),
        "-auto-orient",
        "+repage",
        "-background",
        "white",
        "-alpha",
        "remove",
        "-alpha",
        "off",
    ];
    arguments.extend([
        "-colorspace",
        "sRGB",
        "-type",
        "TrueColor",
        "-gravity",
        "center",
        "-crop",
        &crop,
        "+repage",
    ]);
    arguments.extend(["-filter", "Triangle", "-resize", "256x256!", "-depth", "8", "rgb:-"]);
    convert(&arguments)
}

/// A picture of soft colours and soft edges: what a lossy format makes of hard ones is a matter of taste.
fn base(folder: &Path, width: u32, height: u32) -> String {
    let path = folder.join(format!("base-{width}x{height}.png")).display().to_string();
    let size = format!("{width}x{height}");
    let mut arguments = vec!["-size", size.as_str(), "gradient:#d02060-#20c0f0", "(", "-size", size.as_str()];
    arguments.extend([
        "radial-gradient:#f0e040-#103080",
        ")",
        "-compose",
        "blend",
        "-define",
        "compose:args=50",
    ]);
    arguments.extend(["-composite", "-depth", "8", &path]);
    convert(&arguments);
    path
}

/// The name of a file, and how it is made of the base.
type Recipe = (String, Vec<String>);

fn recipe(name: &str, arguments: &str) -> Recipe {
    (name.to_owned(), arguments.split_whitespace().map(str::to_owned).collect())
}

fn recipes() -> Vec<Recipe> {
    let mut all = Vec::new();
    // The right half shows through by half, a quarter wholly.
    let clear = "-alpha set -channel A -fx i<w/4?0:(i<w/2?0.5:1) +channel";
    for depth in ["8", "16"] {
        for interlace in ["none", "PNG"] {
            for (name, how) in [
                ("grey", "-colorspace Gray -define png:color-type=0"),
                ("rgb", "-define png:color-type=2"),
                ("rgba", &format!("{clear} -define png:color-type=6")),
                ("grey-alpha", &format!("-colorspace Gray {clear} -define png:color-type=4")),
            ] {
                let how =
                    format!("{how} -depth {depth} -define png:bit-depth={depth} -interlace {interlace}");
                all.push(recipe(&format!("{name}-{depth}-{interlace}.png"), &how));
            }
        }
    }
    for interlace in ["none", "PNG"] {
        for (bits, colors) in [("1", "2"), ("2", "4"), ("4", "16"), ("8", "200")] {
            let how = format!(
                "+dither -colors {colors} -define png:color-type=3 -define png:bit-depth={bits} -interlace {interlace}"
            );
            all.push(recipe(&format!("palette-{bits}-{interlace}.png"), &how));
        }
        for bits in ["1", "2", "4"] {
            let how = format!(
                "-colorspace Gray +dither -posterize 2 -depth {bits} -define png:color-type=0 -define png:bit-depth={bits} -interlace {interlace}"
            );
            all.push(recipe(&format!("grey-{bits}-{interlace}.png"), &how));
        }
        let how = format!(
            "{clear} -channel A -threshold 40% +channel -colors 100 -define png:color-type=3 -interlace {interlace}"
        );
        all.push(recipe(&format!("palette-clear-{interlace}.png"), &how));
    }
    for sampling in ["1x1", "2x1", "1x2", "2x2", "4x1"] {
        for interlace in ["none", "JPEG"] {
            for quality in ["60", "95"] {
                let how = format!("-sampling-factor {sampling} -interlace {interlace} -quality {quality}");
                all.push(recipe(&format!("{sampling}-{interlace}-{quality}.jpg"), &how));
            }
        }
    }
    for interlace in ["none", "JPEG"] {
        let print = format!("-colorspace CMYK -interlace {interlace} -quality 90");
        all.push(recipe(&format!("print-{interlace}.jpg"), &print));
        all.push(recipe(
            &format!("grey-{interlace}.jpg"),
            &format!("-colorspace Gray -interlace {interlace} -quality 90"),
        ));
        all.push(recipe(
            &format!("restart-{interlace}.jpg"),
            &format!("-define jpeg:restart-interval=4 -interlace {interlace} -quality 90"),
        ));
    }
    for (name, how) in
        [("lossless", "-define webp:lossless=true"), ("q95", "-quality 95"), ("q75", "-quality 75")]
    {
        all.push(recipe(&format!("{name}.webp"), how));
        all.push(recipe(&format!("{name}-clear.webp"), &format!("{clear} {how} -define webp:exact=true")));
    }
    for interlace in ["none", "GIF"] {
        all.push(recipe(
            &format!("plain-{interlace}.gif"),
            &format!("+dither -colors 250 -interlace {interlace}"),
        ));
        let how =
            format!("{clear} -channel A -threshold 40% +channel +dither -colors 100 -interlace {interlace}");
        all.push(recipe(&format!("clear-{interlace}.gif"), &how));
    }
    all
}

/// A JPEG with an orientation in its EXIF data.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut segment = vec![0xff, 0xe1, 0, 34];
    segment.extend_from_slice(b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
    segment.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &segment, &jpeg[2..]].concat()
}

/// How far the furthest channel of any pixel is from the reference, of 255.
fn furthest(ours: &[u8], theirs: &[u8]) -> u8 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(one, other)| one.abs_diff(*other)).max().unwrap_or_default()
}

#[test]
fn two_hundred_pictures_are_drawn_as_the_reference_draws_them() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    let mut wrong = Vec::new();
    let mut compare = |path: &Path| {
        count += 1;
        let upload = std::fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match square(&upload) {
            Ok(ours) => {
                let apart = furthest(ours.as_raw(), &reference(path));
                if apart > 2 {
                    wrong.push(format!("{name}: {apart}"));
                }
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    };
    for (width, height) in [(600, 400), (300, 800), (512, 512)] {
        let base = base(folder.path(), width, height);
        for (name, how) in recipes() {
            let path = folder.path().join(format!("{width}-{name}"));
            let mut arguments = vec![base.as_str()];
            arguments.extend(how.iter().map(String::as_str));
            let target = path.display().to_string();
            arguments.push(&target);
            convert(&arguments);
            compare(&path);
        }
        let jpeg = std::fs::read(folder.path().join(format!("{width}-1x1-none-95.jpg"))).unwrap();
        for orientation in 1..=8 {
            let path = folder.path().join(format!("{width}-turned-{orientation}.jpg"));
            std::fs::write(&path, turned(&jpeg, orientation)).unwrap();
            compare(&path);
        }
    }
    assert!(wrong.is_empty(), "{} of {count}: {wrong:?}", wrong.len());
    assert!(count >= 200, "{count}");
}

#[test]
fn what_breaks_off_in_the_middle_is_damaged_and_what_nobody_draws_right_is_no_kind_of_ours() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let base = base(folder.path(), 512, 512);
    for name in ["a.jpg", "b.png", "c.webp", "d.gif"] {
        let path = folder.path().join(name).display().to_string();
        convert(&[&base, &path]);
        let whole = std::fs::read(&path).unwrap();
        assert!(square(&whole).is_ok(), "{name}");
        for part in [4, 2, 1] {
            let half = &whole[..whole.len() - whole.len() / (part * 2)];
            assert!(
                matches!(square(half), Err(DrawError::Broken)),
                "{name}, {} of {}",
                half.len(),
                whole.len()
            );
        }
    }
    let progressive = folder.path().join("p.jpg").display().to_string();
    convert(&[&base, "-interlace", "JPEG", &progressive]);
    let whole = std::fs::read(&progressive).unwrap();
    assert!(matches!(square(&whole[..whole.len() / 2]), Err(DrawError::Broken)), "half of a progressive one");
    // Colours finer than light: the factors of the first component made the smaller ones.
    let jpeg = std::fs::read(folder.path().join("a.jpg")).unwrap();
    let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    let mut finer = jpeg.clone();
    (finer[frame + 11], finer[frame + 14], finer[frame + 17]) = (0x11, 0x22, 0x22);
    assert!(matches!(square(&finer), Err(DrawError::Format)));
    for process in [0xc3, 0xc9, 0xca] {
        let mut rare = jpeg.clone();
        rare[frame + 1] = process;
        assert!(matches!(square(&rare), Err(DrawError::Format)), "{process:x}");
    }
    let large = folder.path().join("large.png").display().to_string();
    convert(&[
        "-size",
        "4096x4096",
        "xc:#c81e3cff",
        "-alpha",
        "set",
        "-depth",
        "16",
        "-define",
        "png:color-type=6",
        &large,
    ]);
    assert!(square(&std::fs::read(&large).unwrap()).is_ok(), "sixteen bits are as many pixels");
    convert(&["-size", "12001x8", "xc:red", &large]);
    assert!(matches!(square(&std::fs::read(&large).unwrap()), Err(DrawError::Dimensions)));
}

#[test]
fn large_jpegs_are_shrunk_while_they_are_read_and_look_the_same() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (width, height) in [(2600, 2100), (4600, 4200)] {
        let base = base(folder.path(), width, height);
        for how in ["-sampling-factor 2x2", "-sampling-factor 1x1 -interlace JPEG"] {
            let path = folder.path().join("large.jpg");
            let target = path.display().to_string();
            let arguments: Vec<&str> =
                [base.as_str()].into_iter().chain(how.split_whitespace()).chain([target.as_str()]).collect();
            convert(&arguments);
            let apart = furthest(square(&std::fs::read(&path).unwrap()).unwrap().as_raw(), &reference(&path));
            assert!(apart <= 2, "{width}x{height} {how}: {apart}");
        }
    }
}

#[test]
fn a_jpeg_of_more_pixels_than_are_opened_at_once_is_drawn_if_it_comes_in_one_pass() {
    let pixels = vec![200; 9_000 * 9_000];
    let encoder = |progressive| {
        libjpeg_turbo_rs::Encoder::new(&pixels, 9_000, 9_000, libjpeg_turbo_rs::PixelFormat::Grayscale)
            .progressive(progressive)
            .encode()
            .unwrap()
    };
    let grey = square(&encoder(false)).unwrap();
    assert!(grey.pixels().all(|pixel| pixel.0.iter().all(|channel| channel.abs_diff(200) <= 1)));
    let progressive = encoder(true);
    assert!(square(&progressive).is_ok(), "grey: 162 MB of values");
    assert!(matches!(square(&with_side(&progressive, 12_000)), Err(DrawError::Dimensions)));
    assert!(matches!(square(&with_side(&encoder(false), 12_001)), Err(DrawError::Dimensions)));
    assert!(matches!(square(&with_side(&encoder(false), 0)), Err(DrawError::Broken)));
}

/// The same file, which says that it is larger.
fn with_side(jpeg: &[u8], side: u16) -> Vec<u8> {
    let mut jpeg = jpeg.to_vec();
    let frame = jpeg.windows(2).position(|two| matches!(two, [0xff, 0xc0 | 0xc2])).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[side.to_be_bytes(), side.to_be_bytes()].concat());
    jpeg
}

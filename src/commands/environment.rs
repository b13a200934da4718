//! Where settings come from: the process' environment, then the file `.env` of the current folder.

use std::collections::HashMap;
use std::error::Error;

/// A setting by name from the process' environment alone.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the process")]
pub(super) fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A setting by name, where the environment takes precedence over the file.
///
/// # Errors
/// When there is a `.env` that cannot be read. Its content is not shown: it holds secrets.
pub(super) fn with_env_file() -> Result<impl Fn(&str) -> Option<String>, Box<dyn Error>> {
    let file = match dotenv::from_path_iter(".env") {
        Ok(lines) => lines.collect::<Result<HashMap<_, _>, _>>().map_err(|_| {
            ".env has a line that cannot be read; write NAME=value, with '…' around a value that contains spaces, # or $"
        })?,
        Err(error) if error.not_found() => HashMap::new(),
        Err(_) => return Err(".env cannot be opened".into()),
    };
    Ok(move |name: &str| of_process(name).or_else(|| file.get(name).cloned()))
}

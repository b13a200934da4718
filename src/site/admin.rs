//! For staff, who see, and superusers, who also act: all accounts, what happened, and what is on its way.

mod acting;
mod bulk;
mod bulk_act;
mod csv;
mod events;
mod listing;
mod new_user;
mod outbox;
mod overview;
mod pending;
mod user;
mod users;
mod users_query;

use actix_web::web::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    overview::routes(config);
    // Before the pages of one account, whose paths have a hole where these have a word.
    new_user::routes(config);
    bulk::routes(config);
    users::routes(config);
    user::routes(config);
    pending::routes(config);
    outbox::routes(config);
    events::routes(config);
}

// @generated automatically by Diesel CLI.

diesel::table! {
    events (id) {
        id -> Text,
        at -> Timestamp,
        kind -> Text,
        user_id -> Nullable<Text>,
        address -> Text,
        detail -> Text,
        actor_id -> Nullable<Text>,
        was -> Text,
        became -> Text,
    }
}

diesel::table! {
    links (id) {
        id -> Text,
        user_id -> Text,
        purpose -> Text,
        token_digest -> Text,
        address -> Text,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        used_at -> Nullable<Timestamp>,
        revoked_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    mail_budgets (address, kind) {
        address -> Text,
        kind -> Text,
        recent -> Text,
        touched_at -> Timestamp,
    }
}

diesel::table! {
    outbox (id) {
        id -> Text,
        kind -> Text,
        user_id -> Nullable<Text>,
        recipient -> Text,
        fields -> Text,
        secret -> Nullable<Text>,
        state -> Text,
        tries -> Integer,
        created_at -> Timestamp,
        due_at -> Timestamp,
        expires_at -> Nullable<Timestamp>,
        ended_at -> Nullable<Timestamp>,
        trouble -> Nullable<Text>,
    }
}

diesel::table! {
    sign_ins (id) {
        id -> Text,
        user_id -> Text,
        kind -> Text,
        generation -> Integer,
        device -> Text,
        address -> Text,
        created_at -> Timestamp,
        last_seen_at -> Timestamp,
        confirmed_at -> Timestamp,
        idle_ends_at -> Timestamp,
        absolute_ends_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        username -> Text,
        username_canon -> Text,
        email -> Nullable<Text>,
        email_canon -> Nullable<Text>,
        password_hash -> Text,
        role -> Text,
        verified_at -> Nullable<Timestamp>,
        blocked_at -> Nullable<Timestamp>,
        blocked_reason -> Nullable<Text>,
        full_name -> Text,
        phone -> Text,
        about -> Text,
        picture -> Nullable<Text>,
        created_at -> Timestamp,
        password_changed_at -> Timestamp,
        full_name_canon -> Text,
    }
}

diesel::table! {
    verifications (id) {
        id -> Text,
        user_id -> Text,
        purpose -> Text,
        address -> Text,
        claim -> Nullable<Text>,
        code_digest -> Nullable<Text>,
        code_expires_at -> Timestamp,
        tries -> Integer,
        next_path -> Text,
        created_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
    }
}

diesel::joinable!(links -> users (user_id));
diesel::joinable!(sign_ins -> users (user_id));
diesel::joinable!(verifications -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    events,
    links,
    mail_budgets,
    outbox,
    sign_ins,
    users,
    verifications,
);

// @generated automatically by Diesel CLI.

diesel::table! {
    app_sessions (id) {
        id -> Text,
        session_id -> Text,
        user_id -> Text,
        host -> Text,
        state_digest -> Text,
        ticket_digest -> Text,
        ticket_expires_at -> Timestamp,
        token_digest -> Nullable<Text>,
        created_at -> Timestamp,
        entered_at -> Nullable<Timestamp>,
        last_used_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    events (id) {
        id -> Text,
        at -> Timestamp,
        kind -> Text,
        user_id -> Nullable<Text>,
        actor_id -> Nullable<Text>,
        source -> Text,
        detail -> Text,
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
        email -> Text,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        used_at -> Nullable<Timestamp>,
        revoked_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    mail_budgets (email, kind, asker) {
        email -> Text,
        kind -> Text,
        asker -> Text,
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
    sessions (id) {
        id -> Text,
        user_id -> Text,
        kind -> Text,
        generation -> Integer,
        device -> Text,
        name -> Text,
        signed_in_by -> Text,
        ip -> Text,
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
        full_name_canon -> Text,
        phone -> Text,
        about -> Text,
        picture -> Nullable<Text>,
        created_at -> Timestamp,
        password_changed_at -> Timestamp,
        theme -> Text,
        time_zone -> Text,
        email_since -> Timestamp,
        device_epoch -> Integer,
        leaves_at -> Nullable<Timestamp>,
        last_used_at -> Timestamp,
        dormant_at -> Nullable<Timestamp>,
        dormancy_notices -> Integer,
        dormant_action -> Nullable<Text>,
    }
}

diesel::table! {
    verifications (id) {
        id -> Text,
        user_id -> Text,
        purpose -> Text,
        email -> Text,
        claim -> Nullable<Text>,
        code_digest -> Nullable<Text>,
        code_expires_at -> Timestamp,
        tries -> Integer,
        next_path -> Text,
        created_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
    }
}

diesel::joinable!(app_sessions -> sessions (session_id));
diesel::joinable!(app_sessions -> users (user_id));
diesel::joinable!(links -> users (user_id));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(verifications -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    app_sessions,
    events,
    links,
    mail_budgets,
    outbox,
    sessions,
    users,
    verifications,
);

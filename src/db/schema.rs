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
    authenticators (id) {
        id -> Text,
        user_id -> Text,
        name -> Text,
        sealed_key -> Text,
        last_step -> BigInt,
        created_at -> Timestamp,
        last_used_at -> Nullable<Timestamp>,
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
    passkeys (id) {
        id -> Text,
        user_id -> Text,
        name -> Text,
        credential -> Text,
        credential_digest -> Text,
        device_epoch -> Integer,
        answered_at -> Timestamp,
        created_at -> Timestamp,
        last_used_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    recovery_codes (id) {
        id -> Text,
        user_id -> Text,
        code_digest -> Text,
        created_at -> Timestamp,
        used_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    second_steps (id) {
        id -> Text,
        user_id -> Text,
        role -> Text,
        password_changed_at -> Timestamp,
        first_step -> Text,
        remembers -> Bool,
        next_path -> Text,
        tries -> Integer,
        created_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
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
        confirmed_at -> Nullable<Timestamp>,
        factor_at -> Nullable<Timestamp>,
        idle_ends_at -> Timestamp,
        absolute_ends_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    trusted_devices (id) {
        id -> Text,
        user_id -> Text,
        lane_digest -> Text,
        device -> Text,
        created_at -> Timestamp,
        expires_at -> Timestamp,
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
        two_factor_since -> Nullable<Timestamp>,
        two_factor_ends_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    verifications (id) {
        id -> Text,
        user_id -> Nullable<Text>,
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
diesel::joinable!(authenticators -> users (user_id));
diesel::joinable!(links -> users (user_id));
diesel::joinable!(passkeys -> users (user_id));
diesel::joinable!(recovery_codes -> users (user_id));
diesel::joinable!(second_steps -> users (user_id));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(trusted_devices -> users (user_id));
diesel::joinable!(verifications -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    app_sessions,
    authenticators,
    events,
    links,
    mail_budgets,
    outbox,
    passkeys,
    recovery_codes,
    second_steps,
    sessions,
    trusted_devices,
    users,
    verifications,
);

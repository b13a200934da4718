-- Identifiers are UUIDv7 as text; times are naive UTC; text is compared byte by byte (COLLATE "C").
-- A unique index is named <table>_<column>, so that every back end tells which one was violated.

CREATE TABLE users (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    username TEXT COLLATE "C" NOT NULL,
    username_canon TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C",                          -- as typed; none for a sign-up whose email already has an account
    email_canon TEXT COLLATE "C",
    password_hash TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    verified_at TIMESTAMP,
    blocked_at TIMESTAMP,
    blocked_reason TEXT COLLATE "C",
    full_name TEXT COLLATE "C" NOT NULL,
    full_name_canon TEXT COLLATE "C" NOT NULL,   -- lower case, for searching
    phone TEXT COLLATE "C" NOT NULL,
    about TEXT COLLATE "C" NOT NULL,
    picture TEXT COLLATE "C",                        -- the random name of its file
    created_at TIMESTAMP NOT NULL,
    password_changed_at TIMESTAMP NOT NULL,
    theme TEXT COLLATE "C" NOT NULL,
    time_zone TEXT COLLATE "C" NOT NULL,           -- a name of the IANA database
    email_since TIMESTAMP NOT NULL,       -- when the email address became the account's
    device_epoch INTEGER NOT NULL,        -- raised when every known device is forgotten
    leaves_at TIMESTAMP,                  -- when it is deleted, unless it is kept
    last_used_at TIMESTAMP NOT NULL,      -- when its person last signed in, or was let in again
    dormant_at TIMESTAMP,                 -- when it counts as dormant, as its person has been told
    dormancy_notices INTEGER NOT NULL,    -- how often they have been
    dormant_action TEXT COLLATE "C",       -- and what becomes of it then
    two_factor_since TIMESTAMP,           -- since when signing in takes a second step; none: it does not
    two_factor_ends_at TIMESTAMP          -- when it ends because its person has lost it, unless they stop that
);
CREATE UNIQUE INDEX users_username_canon ON users (username_canon);
CREATE UNIQUE INDEX users_email_canon ON users (email_canon);
CREATE UNIQUE INDEX users_picture ON users (picture);
CREATE INDEX users_unverified ON users (verified_at, created_at);
CREATE INDEX users_full_name_canon ON users (full_name_canon, id);
CREATE INDEX users_created_at ON users (created_at, id);
CREATE INDEX users_role ON users (role, created_at, id);
CREATE INDEX users_role_status ON users (role, blocked_at, verified_at, leaves_at);
CREATE INDEX users_role_username_canon ON users (role, username_canon);
CREATE INDEX users_role_email_canon ON users (role, email_canon);
CREATE INDEX users_blocked_at ON users (blocked_at, role);
CREATE INDEX users_leaves_at ON users (leaves_at);
CREATE INDEX users_last_used_at ON users (dormancy_notices, last_used_at);
CREATE INDEX users_dormant_at ON users (dormant_at);
CREATE INDEX users_two_factor_since ON users (role, two_factor_since);

-- What searches find in the middle of names and addresses. Where the extension is missing or not permitted, they read every row.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX users_search ON users
        USING gin (username_canon gin_trgm_ops, email_canon gin_trgm_ops, full_name_canon gin_trgm_ops);
EXCEPTION
    WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
        RAISE NOTICE 'searches in the middle of names read every row: %', SQLERRM;
END $$;

-- One-time codes and the pages where they are entered.
CREATE TABLE verifications (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" REFERENCES users (id) ON DELETE CASCADE,  -- none: a sign-in with an address that is nobody's, as far as is known
    purpose TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C" NOT NULL,               -- where the code goes, as typed
    claim TEXT COLLATE "C",                          -- the email for which this is the current sign-up
    code_digest TEXT COLLATE "C",                    -- none: no code ever fits
    code_expires_at TIMESTAMP NOT NULL,
    tries INTEGER NOT NULL,
    next_path TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP                   -- used or cancelled
);
CREATE UNIQUE INDEX verifications_claim ON verifications (claim);
CREATE INDEX verifications_created_at ON verifications (created_at);
CREATE INDEX verifications_user_id ON verifications (user_id, purpose);

-- Secrets that are links and no codes: reset a password, undo a change of email, take an account back or keep it.
CREATE TABLE links (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose TEXT COLLATE "C" NOT NULL,
    token_digest TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C" NOT NULL,               -- where the link went
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    used_at TIMESTAMP,
    revoked_at TIMESTAMP
);
CREATE INDEX links_user_id ON links (user_id, purpose);
CREATE INDEX links_expires_at ON links (expires_at);
CREATE INDEX links_created_at ON links (purpose, created_at);

-- A row for each signed-in browser: it decides whether a session is live.
CREATE TABLE sessions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT COLLATE "C" NOT NULL,
    generation INTEGER NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,              -- what its person calls the device
    signed_in_by TEXT COLLATE "C" NOT NULL,
    ip TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMP NOT NULL,
    last_seen_at TIMESTAMP NOT NULL,
    confirmed_at TIMESTAMP,              -- when the password was last given; none: not yet
    factor_at TIMESTAMP,            -- when the second step was last taken; none: the password alone
    idle_ends_at TIMESTAMP NOT NULL,
    absolute_ends_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP
);
CREATE INDEX sessions_user_id ON sessions (user_id, ended_at);
CREATE INDEX sessions_absolute_ends_at ON sessions (absolute_ends_at);
CREATE INDEX sessions_created_at ON sessions (created_at);

-- Two-step sign-in. Authenticator apps: each holds a key, and makes codes of it.
CREATE TABLE authenticators (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,  -- what its person calls it
    sealed_key TEXT COLLATE "C" NOT NULL,
    last_step BIGINT NOT NULL,  -- of the newest code that was used: a code works once
    created_at TIMESTAMP NOT NULL,
    last_used_at TIMESTAMP
);
CREATE INDEX authenticators_user_id ON authenticators (user_id, created_at);

-- Passkeys: what a browser, a phone or a security key answers with. Public keys, no secrets.
CREATE TABLE passkeys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,  -- what its person calls it
    credential TEXT COLLATE "C" NOT NULL,  -- as webauthn-rs writes it
    credential_digest TEXT COLLATE "C" NOT NULL,  -- of its identifier: one is one person's
    device_epoch INTEGER NOT NULL, -- of its account when it was last used with the password: it signs in alone in that epoch
    answered_at TIMESTAMP NOT NULL,  -- when the newest question was asked that it answered: each is answered once
    created_at TIMESTAMP NOT NULL,
    last_used_at TIMESTAMP
);
CREATE INDEX passkeys_user_id ON passkeys (user_id, created_at);
CREATE UNIQUE INDEX passkeys_credential_digest ON passkeys (credential_digest);

-- Codes on paper, for whoever has lost the authenticator.
CREATE TABLE recovery_codes (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_digest TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMP NOT NULL,
    used_at TIMESTAMP
);
CREATE INDEX recovery_codes_user_id ON recovery_codes (user_id, code_digest);

-- Sign-ins of which the password was right, and that wait for a code.
CREATE TABLE second_steps (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT COLLATE "C" NOT NULL,
    password_changed_at TIMESTAMP NOT NULL, -- which password it was
    first_step TEXT COLLATE "C" NOT NULL,  -- password or emailed-code
    remembers BOOLEAN NOT NULL,  -- whether "Stay signed in" was ticked
    next_path TEXT COLLATE "C" NOT NULL,
    tries INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP      -- used or given up
);
CREATE INDEX second_steps_user_id ON second_steps (user_id);
CREATE INDEX second_steps_created_at ON second_steps (created_at);

-- Devices on which the password is enough for a while.
CREATE TABLE trusted_devices (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    lane_digest TEXT COLLATE "C" NOT NULL,      -- of what its device cookie says
    device TEXT COLLATE "C" NOT NULL,  -- the browser's name for itself
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX trusted_devices_user_id ON trusted_devices (user_id, lane_digest);
CREATE INDEX trusted_devices_expires_at ON trusted_devices (expires_at);

-- Applications that people reach by signing in here: a row begins as a ticket, and is somebody's session there once the ticket is used.
CREATE TABLE app_sessions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    session_id TEXT COLLATE "C" NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    host TEXT COLLATE "C" NOT NULL,                 -- of the application
    state_digest TEXT COLLATE "C" NOT NULL,         -- of the browser that asked for the ticket
    ticket_digest TEXT COLLATE "C" NOT NULL,
    ticket_expires_at TIMESTAMP NOT NULL,
    token_digest TEXT COLLATE "C",                  -- of the application's cookie; none until the ticket is used
    created_at TIMESTAMP NOT NULL,
    entered_at TIMESTAMP,                -- when the ticket was used
    last_used_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP
);
CREATE UNIQUE INDEX app_sessions_ticket_digest ON app_sessions (ticket_digest);
CREATE UNIQUE INDEX app_sessions_token_digest ON app_sessions (token_digest);
CREATE INDEX app_sessions_session_id ON app_sessions (session_id);
CREATE INDEX app_sessions_user_id ON app_sessions (user_id, host);
CREATE INDEX app_sessions_host ON app_sessions (host, created_at, id);
CREATE INDEX app_sessions_last_used_at ON app_sessions (last_used_at);

-- The audit log. It outlives the accounts in it, hence no foreign key.
CREATE TABLE events (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at TIMESTAMP NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    actor_id TEXT COLLATE "C",                       -- none: the person, or the program
    source TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    was TEXT COLLATE "C" NOT NULL,
    became TEXT COLLATE "C" NOT NULL
);
CREATE INDEX events_user_id ON events (user_id, at);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_actor_id ON events (actor_id, at);
CREATE INDEX events_kind ON events (kind, at);

-- Mail that is to be sent, and for a while mail that was.
CREATE TABLE outbox (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    recipient TEXT COLLATE "C" NOT NULL,
    fields TEXT COLLATE "C" NOT NULL,
    secret TEXT COLLATE "C",                         -- the code or token; erased on delivery or expiry
    state TEXT COLLATE "C" NOT NULL,
    tries INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL,
    due_at TIMESTAMP NOT NULL,           -- not before; a lease moves it
    expires_at TIMESTAMP,
    ended_at TIMESTAMP,
    trouble TEXT COLLATE "C"
);
CREATE INDEX outbox_state ON outbox (state, due_at);
CREATE INDEX outbox_created_at ON outbox (created_at);
CREATE INDEX outbox_user_id ON outbox (user_id, state, created_at);
CREATE INDEX outbox_state_created_at ON outbox (state, created_at);

-- When mail of a kind was last asked for to an email, a few times back.
CREATE TABLE mail_budgets (
    email TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    asker TEXT COLLATE "C" NOT NULL,            -- whose share; empty: everybody's
    recent TEXT COLLATE "C" NOT NULL,
    touched_at TIMESTAMP NOT NULL,
    PRIMARY KEY (email, kind, asker)
);
CREATE INDEX mail_budgets_touched_at ON mail_budgets (touched_at);

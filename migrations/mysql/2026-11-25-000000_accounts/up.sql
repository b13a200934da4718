-- Identifiers are UUIDv7 as text; times are naive UTC; text is compared byte by byte (ascii_bin, utf8mb4_bin).
-- A unique index is named <table>_<column>, so that every back end tells which one was violated.
-- MySQL takes nothing back: whatever runs here must be able to run again after a crash, so that each table comes with its
-- indexes in one statement.

CREATE TABLE IF NOT EXISTS users (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    username VARCHAR(30) NOT NULL,
    username_canon VARCHAR(30) NOT NULL,
    email VARCHAR(254),                          -- as typed; none for a sign-up whose email already has an account
    email_canon VARCHAR(254),
    password_hash VARCHAR(255) NOT NULL,
    role VARCHAR(20) NOT NULL,
    verified_at DATETIME(6),
    blocked_at DATETIME(6),
    blocked_reason VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    full_name VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    full_name_canon VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- lower case, for searching
    phone VARCHAR(20) NOT NULL,
    about VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    picture VARCHAR(22),                        -- the random name of its file
    created_at DATETIME(6) NOT NULL,
    password_changed_at DATETIME(6) NOT NULL,
    theme VARCHAR(10) NOT NULL,
    time_zone VARCHAR(64) NOT NULL,           -- a name of the IANA database
    email_since DATETIME(6) NOT NULL,     -- when the email address became the account's
    device_epoch INTEGER NOT NULL,        -- raised when every known device is forgotten
    leaves_at DATETIME(6),                -- when it is deleted, unless it is kept
    last_used_at DATETIME(6) NOT NULL,    -- when its person last signed in, or was let in again
    dormant_at DATETIME(6),               -- when it counts as dormant, as its person has been told
    dormancy_notices INTEGER NOT NULL,    -- how often they have been
    dormant_action VARCHAR(10),           -- and what becomes of it then
    two_factor_since DATETIME(6),         -- since when signing in takes a second step; none: it does not
    two_factor_ends_at DATETIME(6),       -- when it ends because its person has lost it, unless they stop that
    UNIQUE INDEX users_username_canon (username_canon),
    UNIQUE INDEX users_email_canon (email_canon),
    UNIQUE INDEX users_picture (picture),
    INDEX users_unverified (verified_at, created_at),
    INDEX users_full_name_canon (full_name_canon, id),
    INDEX users_created_at (created_at, id),
    INDEX users_role (role, created_at, id),
    INDEX users_role_status (role, blocked_at, verified_at, leaves_at),
    INDEX users_role_username_canon (role, username_canon),
    INDEX users_role_email_canon (role, email_canon),
    INDEX users_blocked_at (blocked_at, role),
    INDEX users_leaves_at (leaves_at),
    INDEX users_last_used_at (dormancy_notices, last_used_at),
    INDEX users_dormant_at (dormant_at),
    INDEX users_two_factor_since (role, two_factor_since)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- One-time codes and the pages where they are entered.
CREATE TABLE IF NOT EXISTS verifications (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36),                       -- none: a sign-in with an address that is nobody's, as far as is known
    purpose VARCHAR(20) NOT NULL,
    email VARCHAR(254) NOT NULL,               -- where the code goes, as typed
    claim VARCHAR(254),                          -- the email for which this is the current sign-up
    code_digest VARCHAR(64),                    -- none: no code ever fits
    code_expires_at DATETIME(6) NOT NULL,
    tries INTEGER NOT NULL,
    next_path VARCHAR(4096) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    ended_at DATETIME(6),    -- used or cancelled
    CONSTRAINT verifications_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    UNIQUE INDEX verifications_claim (claim),
    INDEX verifications_created_at (created_at),
    INDEX verifications_user_id (user_id, purpose)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Secrets that are links and no codes: reset a password, undo a change of email, take an account back or keep it.
CREATE TABLE IF NOT EXISTS links (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    purpose VARCHAR(20) NOT NULL,
    token_digest VARCHAR(64) NOT NULL,
    email VARCHAR(254) NOT NULL,               -- where the link went
    created_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    used_at DATETIME(6),
    revoked_at DATETIME(6),
    CONSTRAINT links_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    INDEX links_user_id (user_id, purpose),
    INDEX links_expires_at (expires_at),
    INDEX links_created_at (purpose, created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- A row for each signed-in browser: it decides whether a session is live.
CREATE TABLE IF NOT EXISTS sessions (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    kind VARCHAR(30) NOT NULL,
    generation INTEGER NOT NULL,
    device VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,     -- what its person calls the device
    signed_in_by VARCHAR(40) NOT NULL,
    ip VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    created_at DATETIME(6) NOT NULL,
    last_seen_at DATETIME(6) NOT NULL,
    confirmed_at DATETIME(6),              -- when the password was last given; none: not yet
    factor_at DATETIME(6),                 -- when the second step was last taken; none: the password alone
    idle_ends_at DATETIME(6) NOT NULL,
    absolute_ends_at DATETIME(6) NOT NULL,
    ended_at DATETIME(6),
    CONSTRAINT sessions_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    INDEX sessions_user_id (user_id, ended_at),
    INDEX sessions_absolute_ends_at (absolute_ends_at),
    INDEX sessions_created_at (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Two-step sign-in. Authenticator apps: each holds a key, and makes codes of it.
CREATE TABLE IF NOT EXISTS authenticators (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- what its person calls it
    sealed_key VARCHAR(255) NOT NULL,
    last_step BIGINT NOT NULL,                 -- of the newest code that was used: a code works once
    created_at DATETIME(6) NOT NULL,
    last_used_at DATETIME(6),
    CONSTRAINT authenticators_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    INDEX authenticators_user_id (user_id, created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Passkeys: what a browser, a phone or a security key answers with. Public keys, no secrets.
CREATE TABLE IF NOT EXISTS passkeys (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- what its person calls it
    credential TEXT NOT NULL,                  -- as webauthn-rs writes it
    credential_digest VARCHAR(43) NOT NULL,    -- of its identifier: one is one person's
    device_epoch INTEGER NOT NULL,             -- of its account when it was last used with the password: it signs in alone in that epoch
    answered_at DATETIME(6) NOT NULL,          -- when the newest question was asked that it answered: each is answered once
    created_at DATETIME(6) NOT NULL,
    last_used_at DATETIME(6),
    CONSTRAINT passkeys_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    INDEX passkeys_user_id (user_id, created_at),
    UNIQUE INDEX passkeys_credential_digest (credential_digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Codes on paper, for whoever has lost the authenticator.
CREATE TABLE IF NOT EXISTS recovery_codes (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    code_digest VARCHAR(64) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    used_at DATETIME(6),
    CONSTRAINT recovery_codes_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    INDEX recovery_codes_user_id (user_id, code_digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Sign-ins of which the password was right, and that wait for a code.
CREATE TABLE IF NOT EXISTS second_steps (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    role VARCHAR(20) NOT NULL,
    password_changed_at DATETIME(6) NOT NULL, -- which password it was
    first_step VARCHAR(40) NOT NULL,         -- password or emailed-code
    remembers BOOLEAN NOT NULL,                -- whether "Stay signed in" was ticked
    next_path MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    tries INTEGER NOT NULL,
    created_at DATETIME(6) NOT NULL,
    ended_at DATETIME(6),                      -- used or given up
    CONSTRAINT second_steps_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    INDEX second_steps_user_id (user_id),
    INDEX second_steps_created_at (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Devices on which the password is enough for a while.
CREATE TABLE IF NOT EXISTS trusted_devices (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(36) NOT NULL,
    lane_digest VARCHAR(64) NOT NULL,          -- of what its device cookie says
    device VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- the browser's name for itself
    created_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    CONSTRAINT trusted_devices_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    INDEX trusted_devices_user_id (user_id, lane_digest),
    INDEX trusted_devices_expires_at (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Applications that people reach by signing in here: a row begins as a ticket, and is somebody's session there once the ticket is used.
CREATE TABLE IF NOT EXISTS app_sessions (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    session_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(36) NOT NULL,
    host VARCHAR(260) NOT NULL,                -- of the application
    state_digest VARCHAR(64) NOT NULL,         -- of the browser that asked for the ticket
    ticket_digest VARCHAR(64) NOT NULL,
    ticket_expires_at DATETIME(6) NOT NULL,
    token_digest VARCHAR(64),                  -- of the application's cookie; none until the ticket is used
    created_at DATETIME(6) NOT NULL,
    entered_at DATETIME(6),                    -- when the ticket was used
    last_used_at DATETIME(6) NOT NULL,
    ended_at DATETIME(6),
    CONSTRAINT app_sessions_session FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT app_sessions_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    UNIQUE INDEX app_sessions_ticket_digest (ticket_digest),
    UNIQUE INDEX app_sessions_token_digest (token_digest),
    INDEX app_sessions_session_id (session_id),
    INDEX app_sessions_user_id (user_id, host),
    INDEX app_sessions_host (host, created_at, id),
    INDEX app_sessions_last_used_at (last_used_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- The audit log. It outlives the accounts in it, hence no foreign key.
CREATE TABLE IF NOT EXISTS events (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    at DATETIME(6) NOT NULL,
    kind VARCHAR(30) NOT NULL,
    user_id VARCHAR(36),
    actor_id VARCHAR(36),                       -- none: the person, or the program
    source VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    detail TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    was VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    became VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- With who did it: which of ten thousand rows are staff's is found without reading them.
    INDEX events_user_id (user_id, at, actor_id, source),
    INDEX events_at (at),
    INDEX events_actor_id (actor_id, at),
    INDEX events_kind (kind, at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Mail that is to be sent, and for a while mail that was.
CREATE TABLE IF NOT EXISTS outbox (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    kind VARCHAR(30) NOT NULL,
    user_id VARCHAR(36),
    recipient VARCHAR(254) NOT NULL,
    fields TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    secret TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,                         -- the code or token; erased on delivery or expiry
    state VARCHAR(20) NOT NULL,
    tries INTEGER NOT NULL,
    created_at DATETIME(6) NOT NULL,
    due_at DATETIME(6) NOT NULL,           -- not before; a lease moves it
    expires_at DATETIME(6),
    ended_at DATETIME(6),
    trouble TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    INDEX outbox_state (state, due_at),
    INDEX outbox_created_at (created_at),
    INDEX outbox_user_id (user_id, state, created_at),
    INDEX outbox_state_created_at (state, created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- When mail of a kind was last asked for to an email, a few times back.
CREATE TABLE IF NOT EXISTS mail_budgets (
    email VARCHAR(254) NOT NULL,
    kind VARCHAR(30) NOT NULL,
    asker VARCHAR(80) NOT NULL,            -- whose share; empty: everybody's
    recent VARCHAR(1000) NOT NULL,
    touched_at DATETIME(6) NOT NULL,
    PRIMARY KEY (email, kind, asker),
    INDEX mail_budgets_touched_at (touched_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

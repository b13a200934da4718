-- What the admin pages ask: people by any column, with any filter, a page at a time; who did what to whom.

ALTER TABLE users ADD COLUMN full_name_canon TEXT NOT NULL DEFAULT '';   -- lower case, for searching
UPDATE users SET full_name_canon = lower(full_name) WHERE full_name <> '';
CREATE INDEX users_full_name_canon ON users (full_name_canon, id);
CREATE INDEX users_created_at ON users (created_at, id);
CREATE INDEX users_role ON users (role, created_at, id);
CREATE INDEX users_role_standing ON users (role, blocked_at, verified_at);
CREATE INDEX users_role_username_canon ON users (role, username_canon);
CREATE INDEX users_role_email_canon ON users (role, email_canon);
CREATE INDEX users_blocked_at ON users (blocked_at, role);

ALTER TABLE events ADD COLUMN actor_id TEXT;                             -- none: the person, or the program
ALTER TABLE events ADD COLUMN was TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN became TEXT NOT NULL DEFAULT '';
CREATE INDEX events_actor_id ON events (actor_id, at);
CREATE INDEX events_kind ON events (kind, at);

CREATE INDEX outbox_user_id ON outbox (user_id, created_at);
CREATE INDEX outbox_state_created_at ON outbox (state, created_at);
CREATE INDEX links_created_at ON links (purpose, created_at);
CREATE INDEX sign_ins_created_at ON sign_ins (created_at);

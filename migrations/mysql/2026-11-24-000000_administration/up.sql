-- What the admin pages ask: people by any column, with any filter, a page at a time; who did what to whom.
-- Each table is changed by one statement, which is left out when it has run already: MySQL takes nothing back, and not all
-- versions know ADD COLUMN IF NOT EXISTS.

SET @change = IF(EXISTS (SELECT * FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'full_name_canon'), 'DO 0',
    'ALTER TABLE users
        ADD COLUMN full_name_canon VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '''',
        ADD INDEX users_full_name_canon (full_name_canon, id),
        ADD INDEX users_created_at (created_at, id),
        ADD INDEX users_role (role, created_at, id),
        ADD INDEX users_role_standing (role, blocked_at, verified_at),
        ADD INDEX users_role_username_canon (role, username_canon),
        ADD INDEX users_role_email_canon (role, email_canon),
        ADD INDEX users_blocked_at (blocked_at, role)');
PREPARE change_table FROM @change;
EXECUTE change_table;
UPDATE users SET full_name_canon = LOWER(full_name) WHERE full_name <> '';

SET @change = IF(EXISTS (SELECT * FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'events' AND column_name = 'actor_id'), 'DO 0',
    'ALTER TABLE events
        ADD COLUMN actor_id VARCHAR(36),
        ADD COLUMN was VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '''',
        ADD COLUMN became VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '''',
        ADD INDEX events_actor_id (actor_id, at),
        ADD INDEX events_kind (kind, at)');
PREPARE change_table FROM @change;
EXECUTE change_table;

SET @change = IF(EXISTS (SELECT * FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'outbox' AND index_name = 'outbox_user_id'), 'DO 0',
    'ALTER TABLE outbox ADD INDEX outbox_user_id (user_id, created_at), ADD INDEX outbox_state_created_at (state, created_at)');
PREPARE change_table FROM @change;
EXECUTE change_table;

SET @change = IF(EXISTS (SELECT * FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'links' AND index_name = 'links_created_at'), 'DO 0',
    'ALTER TABLE links ADD INDEX links_created_at (purpose, created_at)');
PREPARE change_table FROM @change;
EXECUTE change_table;

SET @change = IF(EXISTS (SELECT * FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'sign_ins' AND index_name = 'sign_ins_created_at'), 'DO 0',
    'ALTER TABLE sign_ins ADD INDEX sign_ins_created_at (created_at)');
PREPARE change_table FROM @change;
EXECUTE change_table;

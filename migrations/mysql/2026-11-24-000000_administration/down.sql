ALTER TABLE sign_ins DROP INDEX sign_ins_created_at;
ALTER TABLE links DROP INDEX links_created_at;
ALTER TABLE outbox DROP INDEX outbox_user_id, DROP INDEX outbox_state_created_at;
ALTER TABLE events DROP INDEX events_actor_id, DROP INDEX events_kind, DROP COLUMN actor_id, DROP COLUMN was, DROP COLUMN became;
ALTER TABLE users
    DROP INDEX users_full_name_canon,
    DROP INDEX users_created_at,
    DROP INDEX users_role,
    DROP INDEX users_role_standing,
    DROP INDEX users_role_username_canon,
    DROP INDEX users_role_email_canon,
    DROP INDEX users_blocked_at,
    DROP COLUMN full_name_canon;

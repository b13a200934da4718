DROP TABLE mail_budgets;
DROP TABLE outbox;
DROP TABLE events;
DROP TABLE app_sessions;
DROP TABLE sessions;
DROP TABLE links;
DROP TABLE verifications;
DROP TABLE users;
